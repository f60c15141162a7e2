// How the page itself fares, told to the server now and then: round trips, lost connections, pictures that came late,
// and times in which it did nothing at all. Bounded: what can't be told is thrown away, oldest first.

const TELL_EVERY_MS = 10000;
const MOST = 64; // of each kind
const STALL_S = 0.05; // of a task: the browser's own bound of "long"

export class Health {
  constructor(send) {
    this.send = send;
    this.clear();
    if (PerformanceObserver.supportedEntryTypes.includes("longtask")) {
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) this.stall(duration / 1000);
      }).observe({ entryTypes: ["longtask"] });
    }
    this.toldAt = performance.now();
  }

  clear() {
    this.trips = [];
    this.painted = [];
    this.stalls = [];
    this.drops = {};
  }

  add(list, seconds) {
    list.push(Math.min(Math.max(seconds, 0), 86400));
    if (list.length > MOST) list.shift();
  }

  // The server has just answered: what is told now arrives, as it may not by a line that broke while the tab slept.
  trip(seconds) {
    this.add(this.trips, seconds);
    if (performance.now() - this.toldAt >= TELL_EVERY_MS) this.tell();
  }

  stall(seconds) {
    if (seconds >= STALL_S) this.add(this.stalls, seconds);
  }

  drop(how) {
    this.drops[how] = Math.min((this.drops[how] ?? 0) + 1, 1000);
  }

  // A pop has come, and the page is drawn with it: the frame after the next is on the screen.
  pop() {
    const came = performance.now();
    if (document.hidden) return; // nothing is painted
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        this.add(this.painted, (performance.now() - came) / 1000);
        port1.close(); // both ends, which would else stay for as long as the page
      };
      port2.postMessage(0);
    });
  }

  tell() {
    const { trips, painted, stalls, drops } = this;
    if (!this.send({ type: "health", trips, painted, stalls, drops })) return;
    this.toldAt = performance.now();
    this.clear();
  }
}
