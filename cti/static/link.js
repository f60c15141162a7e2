// The page's socket: one connection, kept up for ever, that resumes where it broke off.
//
// The server numbers its events. After a lost connection we say the last number seen and get what was missed; when that
// can't be had we get the full state instead. Nothing is guessed. A command whose reply was lost is sent again under
// the same key: the server does it once and gives its first answer. Only where the server itself is a new one is the
// command given up, as nobody knows what became of it.

import { ServerClock } from "./serverclock.js";

const RETRY_MS = 2000; // within which the first attempt falls, anywhere; then twice as long, up to:
const RETRY_MOST_MS = 8000; // a thousand pages that lost one server spread over seconds
const PING_EVERY_MS = 3000;
const PONG_LIMIT_MS = 4000;
const PROBE_LIMIT_MS = 1500; // after a sleep or a change of network, when there is reason to doubt
const OPEN_LIMIT_MS = 5000;
const RESEND_MS = 30000; // a command is not done later than this: by then it is another situation
const FINAL = { 4001: "taken_over", 4002: "elsewhere", 4010: "sees_less", 4401: "no_session", 4403: "not_allowed" }; // then we stay away

const random = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");

// This window's name. It lives through a reload, and is not copied with the tab: while the page is there nothing is kept.
const WINDOW = "window";
const windowName = sessionStorage.getItem(WINDOW) ?? random();
sessionStorage.removeItem(WINDOW);
addEventListener("pagehide", () => sessionStorage.setItem(WINDOW, windowName));
addEventListener("pageshow", (event) => event.persisted && sessionStorage.removeItem(WINDOW));

export class Link {
  // `on`: { up(), down(), end(why), frame(frame), trip?(seconds), drop?(how), slept?(seconds) }
  constructor(path, on, hello = true) {
    this.url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
    this.on = on;
    this.hello = hello;
    this.clock = new ServerClock();
    this.nextId = 1;
    this.waiting = new Map(); // request id -> { resolve, frame, at }
    this.tries = 0;
    this.up = false;
    this.over = false;
    this.taking = false; // the seat, from another window that has it
    this.forget();
    this.ticker = new Worker("/static/ticker.js"); // a hidden page's own timers are slowed down
    this.ticker.onmessage = () => this.tick();
    this.ticker.postMessage(PING_EVERY_MS);
    this.tickedAt = Date.now();
    addEventListener("online", () => this.doubt());
    addEventListener("offline", () => this.doubt("offline"));
    addEventListener("pageshow", () => this.doubt());
    document.addEventListener("resume", () => this.doubt());
    document.addEventListener("visibilitychange", () => document.hidden || this.doubt());
    this.connect();
  }

  // The server's time now, POSIX seconds.
  now() {
    return this.clock.now();
  }

  // Send a command; resolves with { ok, code, detail }, or { ok: false, code: "lost" } when nobody knows what came of it.
  request(command) {
    if (!this.up) return Promise.resolve({ ok: false, code: "lost", detail: "" });
    const id = this.nextId++;
    const frame = { type: "request", id, key: random(), command };
    return new Promise((resolve) => {
      this.waiting.set(id, { resolve, frame, at: Date.now() });
      this.send(frame);
    });
  }

  send(frame) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  connect() {
    clearTimeout(this.retryTimer);
    const socket = (this.socket = new WebSocket(this.url));
    this.openTimer = setTimeout(() => this.dead("silent"), OPEN_LIMIT_MS);
    socket.onopen = () => {
      clearTimeout(this.openTimer);
      if (this.hello) this.send({ type: "hello", epoch: this.epoch, resume: this.seq, window: windowName, take: this.taking });
      else this.opened();
      this.ping();
    };
    socket.onmessage = (event) => this.socket === socket && this.take(JSON.parse(event.data));
    socket.onclose = (event) => this.socket === socket && this.closed(event.code, "closed");
  }

  // Come back on purpose, to take the seat over from another window: what that one did is not among what we missed.
  restart() {
    this.over = false;
    this.tries = 0;
    this.taking = true;
    this.forget();
    this.connect();
  }

  forget() {
    this.epoch = "";
    this.seq = 0;
  }

  take(frame) {
    switch (frame.type) {
      case "state": {
        const another = this.epoch && this.epoch !== frame.epoch;
        this.epoch = frame.epoch;
        this.seq = frame.seq;
        this.clock.guess(frame.time);
        this.on.frame(frame);
        return this.opened(another);
      }
      case "welcome":
        this.clock.guess(frame.time);
        this.on.frame(frame);
        return this.opened();
      case "event":
        if (frame.seq <= this.seq) return;
        this.seq = frame.seq;
        return this.on.frame(frame);
      case "reply": {
        const waits = this.waiting.get(frame.id);
        this.waiting.delete(frame.id);
        return waits?.resolve(frame);
      }
      case "pong": {
        clearTimeout(this.pongTimer);
        this.pongTimer = undefined;
        const trip = this.clock.take(frame);
        return this.on.trip?.(trip);
      }
      default:
        return this.on.frame(frame);
    }
  }

  opened(another = false) {
    this.up = true;
    this.tries = 0;
    this.taking = false;
    if (another) this.giveUp();
    else for (const { frame } of this.waiting.values()) this.send(frame);
    this.on.up();
  }

  // --- is anybody there? --------------------------------------------------------------------------------------------------

  tick() {
    const late = Date.now() - this.tickedAt - PING_EVERY_MS;
    this.tickedAt = Date.now();
    if (late < PING_EVERY_MS) return this.ping();
    this.on.slept?.(late / 1000); // the tab, or the computer
    this.doubt();
  }

  ping(limit = PONG_LIMIT_MS) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.send({ type: "ping", at: this.clock.local() });
    this.pongTimer ??= setTimeout(() => this.dead("silent"), limit); // a pong that is due is not waited for anew
  }

  // Something happened to this computer or its network: ask at once, and believe the answer only.
  doubt(how = "silent") {
    if (this.over) return;
    if (this.socket.readyState === WebSocket.OPEN) {
      clearTimeout(this.pongTimer);
      this.pongTimer = setTimeout(() => this.dead(how), PROBE_LIMIT_MS);
      this.ping();
    } else if (this.socket.readyState === WebSocket.CLOSED && navigator.onLine) this.connect();
  }

  // No answer: the line is dead, though the browser does not know yet.
  dead(how) {
    const socket = this.socket;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
    this.closed(1006, how);
  }

  closed(code, how) {
    const wasUp = this.up;
    this.up = false;
    clearTimeout(this.openTimer);
    clearTimeout(this.pongTimer);
    clearTimeout(this.retryTimer);
    this.pongTimer = undefined;
    if (FINAL[code]) {
      this.over = true;
      this.giveUp();
      return this.on.end(FINAL[code]);
    }
    const oldest = Date.now() - RESEND_MS;
    this.giveUp((waits) => waits.at < oldest);
    const within = Math.min(RETRY_MS * 2 ** this.tries++, RETRY_MOST_MS);
    this.retryTimer = setTimeout(() => this.connect(), Math.random() * within);
    if (wasUp) this.on.drop?.(how);
    this.on.down();
  }

  giveUp(which = () => true) {
    for (const [id, waits] of this.waiting) {
      if (!which(waits)) continue;
      this.waiting.delete(id);
      waits.resolve({ ok: false, code: "lost", detail: "" });
    }
  }
}
