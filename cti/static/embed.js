// For a page of the company's own system: hears of the agent's customers, and gives the seat commands.
//
//   import { Seat } from "/static/embed.js";
//   const seat = new Seat({ pop: (customer) => open(customer.attributes.id), event: console.log });
//   await seat.do({ type: "ready" });
//
// The page must be of the dialer's own origin, as behind one proxy: the agent's session is a cookie that goes nowhere else.

const TRIES = 4; // of a command whose answer was lost, under one key
const PAUSE_MS = 500; // before the second, then twice as long
const AGAIN_MS = 5000; // about, between two looks whether somebody is signed in again

const key = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");
const pause = (ms) => new Promise((done) => setTimeout(done, ms * (0.5 + Math.random())));

export class Seat {
  // `on`: { pop(customer), state(seat), event(event), lost(signedOut) }, all optional. `seat` is { seat, pop, call, … } or null.
  constructor(on = {}, base = new URL("..", import.meta.url)) {
    this.on = on;
    this.base = base;
    this.last = "";
    this.follow();
  }

  // Resolves with { ok, code, detail }. It is done once, however often it has to be sent.
  async do(command, idempotencyKey = key()) {
    for (let n = 0; ; n++) {
      try {
        const answer = await fetch(new URL("api/seat/commands", this.base), {
          method: "POST",
          headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
          body: JSON.stringify(command),
        });
        const { ok = false, code, error, detail } = await answer.json();
        return { ok, code: code ?? error, detail };
      } catch (fault) {
        if (n + 1 >= TRIES) return { ok: false, code: "lost", detail: String(fault) };
        await pause(PAUSE_MS * 2 ** n);
      }
    }
  }

  close() {
    this.closed = true;
    this.stream.close();
  }

  follow() {
    const url = new URL("api/seat/events", this.base);
    if (this.last) url.searchParams.set("last", this.last);
    const stream = (this.stream = new EventSource(url));
    const hear = (kind, act) =>
      stream.addEventListener(kind, ({ data, lastEventId }) => {
        this.last = lastEventId;
        act(JSON.parse(data));
      });
    hear("state", ({ seats: [seat = null] }) => {
      this.on.state?.(seat);
      if (seat?.pop) this.pop(seat.pop);
    });
    for (const kind of ["seat_status", "call_status", "callback_soon", "targets", "script", "note", "disposed"]) hear(kind, ({ event }) => this.on.event?.(event));
    hear("screen_pop", ({ event }) => {
      this.on.event?.(event);
      this.pop(event);
    });
    stream.onerror = async () => {
      const refused = stream.readyState === EventSource.CLOSED; // else the browser comes back by itself
      this.on.lost?.(refused && (await this.signedOut()));
      if (!refused) return;
      await pause(AGAIN_MS);
      if (!this.closed && this.stream === stream) this.follow();
    };
  }

  // A stream does not say why it was refused: a server that is busy, or gone for a moment, is no log-out.
  async signedOut() {
    try {
      return [401, 403].includes((await fetch(new URL("api/seat", this.base))).status);
    } catch {
      return false;
    }
  }

  // Each customer once, though the state tells of them again after a lost line.
  pop(customer) {
    if (this.shown === customer.call_id) return;
    this.shown = customer.call_id;
    this.on.pop?.(customer);
  }
}
