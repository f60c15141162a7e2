// What was typed or chosen for a call and is not on record yet. It is kept twice: in this window at once, and by the
// server a moment later, for a reload, another computer or a restart. Of two the newer one counts.

const SEND_AFTER_MS = 400; // after the last change
const key = (callId) => `call:${callId}`;

export class Drafts {
  constructor(link) {
    this.link = link;
    this.last = null; // { call_id, at, fields }
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => document.hidden && this.send());
  }

  // The fields kept for this call; `told` is what the server has.
  of(callId, told) {
    const here = JSON.parse(sessionStorage.getItem(key(callId)) ?? "null");
    const there = told?.call_id === callId ? told : null;
    const newest = here && there ? (there.at > here.at ? there : here) : (here ?? there);
    this.last = newest && { call_id: callId, at: newest.at, fields: newest.fields };
    this.unsent = Boolean(newest) && newest !== there;
    return { ...newest?.fields };
  }

  keep(callId, fields) {
    const at = Math.max(this.link.now(), this.last?.call_id === callId ? this.last.at + 0.001 : 0);
    this.last = { call_id: callId, at, fields: structuredClone(fields) };
    this.unsent = true;
    sessionStorage.setItem(key(callId), JSON.stringify(this.last));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), SEND_AFTER_MS);
  }

  drop(callId) {
    sessionStorage.removeItem(key(callId));
    if (this.last?.call_id === callId) this.last = null;
    clearTimeout(this.timer);
  }

  // After each new connection too: nobody knows whether the last one arrived.
  send() {
    clearTimeout(this.timer);
    if (!this.last || !this.link.up) return;
    this.link.send({ type: "draft", ...this.last });
    this.unsent = false;
  }

  // The socket may be gone before it has sent what it was given: a beacon outlives the page.
  leave() {
    if (!this.last || this.link.over) return;
    const body = JSON.stringify({ type: "draft", ...this.last });
    navigator.sendBeacon("/api/seat/draft", new Blob([body], { type: "application/json" }));
  }
}
