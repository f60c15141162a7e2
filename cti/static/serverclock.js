// The server's time, told from ping and pong. Values only: no socket, no document.
//
// A pong says when the server wrote it. That lay between our ping and now, so half the round trip is the most it can be
// wrong. Of the last answers the quickest is believed; one that contradicts it beyond what both can be wrong means that
// a clock was set, or ran while we slept, and what was known before is void.

const KEPT = 8; // pongs: at one each 3 s the drift of half a minute, under 3 ms
const SLACK_S = 0.01;

export class ServerClock {
  constructor(local = () => Date.now() / 1000) {
    this.local = local;
    this.samples = []; // { offset, error }
    this.offset = 0; // server's clock minus ours, seconds
  }

  now() {
    return this.local() + this.offset;
  }

  // A time that was told without a question: good for as long as nothing better is known.
  guess(time) {
    if (!this.samples.length) this.offset = time - this.local();
  }

  // A pong with `at`, our time of the ping, and `time`, the server's; gives the round trip in seconds.
  take({ at, time }) {
    const now = this.local();
    const trip = Math.max(0, now - at);
    const sample = { offset: time - (at + now) / 2, error: trip / 2 };
    const agrees = (other) => Math.abs(other.offset - sample.offset) <= other.error + sample.error + SLACK_S;
    this.samples = [...this.samples.filter(agrees), sample].slice(-KEPT);
    this.offset = this.samples.reduce((best, each) => (each.error < best.error ? each : best)).offset;
    return trip;
  }
}
