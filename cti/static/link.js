// The page's socket: one connection, kept up for ever, that resumes where it broke off.
//
// The server numbers its events. After a lost connection we say the last number seen and get what was missed; when
// that can't be had, or a reply to a request of ours was lost, we get the full state instead. Nothing is guessed.

const RETRY_MS = [200, 500, 1000, 2000, 4000]; // then every 4 s
const PING_EVERY_MS = 8000;
const PONG_LIMIT_MS = 6000;
const FINAL = { 4001: "taken_over", 4401: "no_session", 4403: "not_allowed" }; // closes after which we stay away

export class Link {
  // `on`: { up(), down(retryAt), end(why), frame(frame) }
  constructor(path, on, hello = true) {
    this.url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
    this.on = on;
    this.hello = hello;
    this.epoch = "";
    this.seq = 0;
    this.offset = 0; // server's clock minus ours, seconds
    this.bestTrip = Infinity;
    this.nextId = 1;
    this.waiting = new Map(); // request id -> resolve
    this.tries = 0;
    this.up = false;
    this.over = false;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    this.connect();
  }

  // The server's time now, POSIX seconds.
  now() {
    return Date.now() / 1000 + this.offset;
  }

  // Send a command; resolves with { ok, code, detail }, or { ok: false, code: "lost" } when the connection broke.
  request(command) {
    if (!this.up) return Promise.resolve({ ok: false, code: "lost", detail: "" });
    const id = this.nextId++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.send({ type: "request", id, command });
    });
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  connect() {
    clearTimeout(this.retryTimer);
    const socket = (this.socket = new WebSocket(this.url));
    socket.onopen = () => {
      if (this.hello) this.send({ type: "hello", epoch: this.epoch, resume: this.seq });
      else this.opened();
      this.ping();
    };
    socket.onmessage = (event) => this.socket === socket && this.take(JSON.parse(event.data));
    socket.onclose = (event) => this.socket === socket && this.closed(event.code);
  }

  retryNow() {
    if (!this.up && !this.over && this.socket.readyState === WebSocket.CLOSED) this.connect();
  }

  // Come back on purpose, e.g. to take the seat over from another window.
  restart() {
    this.over = false;
    this.tries = 0;
    this.connect();
  }

  take(frame) {
    switch (frame.type) {
      case "state":
        this.epoch = frame.epoch;
        this.seq = frame.seq;
        this.clock(frame.time, 0.2);
        this.on.frame(frame);
        return this.opened();
      case "welcome":
        this.clock(frame.time, 0.2);
        this.on.frame(frame);
        return this.opened();
      case "event":
        if (frame.seq <= this.seq) return;
        this.seq = frame.seq;
        return this.on.frame(frame);
      case "reply": {
        const resolve = this.waiting.get(frame.id);
        this.waiting.delete(frame.id);
        return resolve?.(frame);
      }
      case "pong": {
        clearTimeout(this.pongTimer);
        const trip = Date.now() / 1000 - frame.at;
        return this.clock(frame.time + trip / 2, trip);
      }
      default:
        return this.on.frame(frame);
    }
  }

  // Believe the server's clock as told by the quickest round trip so far.
  clock(time, trip) {
    if (trip > this.bestTrip) return;
    this.bestTrip = trip;
    this.offset = time - Date.now() / 1000;
  }

  opened() {
    this.up = true;
    this.tries = 0;
    this.on.up();
  }

  ping() {
    clearTimeout(this.pingTimer);
    clearTimeout(this.pongTimer);
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.send({ type: "ping", at: Date.now() / 1000 });
    this.pongTimer = setTimeout(() => this.dead(), PONG_LIMIT_MS);
    this.pingTimer = setTimeout(() => this.ping(), PING_EVERY_MS);
  }

  // No answer: the line is dead, though the browser does not know yet.
  dead() {
    const socket = this.socket;
    socket.onclose = socket.onmessage = null;
    socket.close();
    this.closed(1006);
  }

  closed(code) {
    this.up = false;
    clearTimeout(this.pingTimer);
    clearTimeout(this.pongTimer);
    if (this.waiting.size) this.epoch = ""; // a reply is lost: ask for the full state
    for (const resolve of this.waiting.values()) resolve({ ok: false, code: "lost", detail: "" });
    this.waiting.clear();
    if (FINAL[code]) {
      this.over = true;
      return this.on.end(FINAL[code]);
    }
    const pause = RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)] * (0.8 + Math.random() * 0.4);
    this.retryTimer = setTimeout(() => this.connect(), pause);
    this.on.down();
  }
}
