// The telephone in the page: registers with the switch, picks its leg up by itself, watches it, and heals.
//
// Voice and signalling fail apart. When the WebSocket breaks, the voice goes on, so the leg is kept while it is heard;
// when the voice stops, the leg is given up, the engine is told, and the phone is rung anew as soon as it is registered.

const CHECK_EVERY_MS = 150;
const SILENT_MS = 600; // without a packet on a leg that had them: with the check, the loss is known within a second
const TALK_SILENT_MS = 4000; // in a call the other side may fall silent, or a Wi-Fi hand over: told at once, given up later
const STEADY = 25; // packets after which silence means something
const RENEW_MS = [500, 1000, 2000, 4000, 8000]; // until a refused registration is tried with a new password; then every 8 s
const EXPIRES_S = 120;
const AUTH_REFUSED = ["Authentication Error", "Rejected", "Not Found"]; // JsSIP's causes for 401, 403, 404
const NO_ACCESS = { switch_down: "switch", phone_taken: "taken" }; // the engine's word, and the problem

export const MIC_PROBLEMS = { NotAllowedError: "mic_denied", NotFoundError: "mic_missing", OverconstrainedError: "mic_missing", NotReadableError: "mic_busy" };

export class Softphone {
  // `on`: { access(): the engine's answer to open_phone, changed(), up(), lost(), registered(), unplugged(): the microphone }
  constructor(on) {
    this.on = on;
    this.problem = ""; // mic_denied, mic_missing, mic_busy, insecure, refused, taken, switch
    this.wanted = false; // from its start until it is stopped: it is tried again
    this.registered = false;
    this.renewals = 0; // since it was registered last
    this.muted = false;
    this.inCall = false; // a customer is, or is about to be, on the leg
    this.silent = false; // nothing is heard on the leg right now
    this.quality = null; // { jitter_ms, lost, delay_ms } of the last seconds
    this.level = 0; // of the microphone, 0 to 1
    this.mic = null;
    this.sinkId = "";
    this.audio = document.createElement("audio");
    this.audio.autoplay = true;
    this.ticker = new Worker("/static/ticker.js"); // a hidden page's own timers are slowed down
    this.ticker.onmessage = () => this.check();
  }

  get on_leg() {
    return Boolean(this.leg?.isEstablished());
  }

  // --- microphone and speaker ---------------------------------------------------------------------------------------------

  // Open the microphone, or another one; on a leg that is up it takes the older one's place. `tries`: one that can't be
  // had leaves the open one, of which nothing is wrong.
  async openMic(deviceId, tries = false) {
    if (!navigator.mediaDevices?.getUserMedia) return this.fail("insecure");
    const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    try {
      const mic = await navigator.mediaDevices.getUserMedia({ audio: deviceId ? { ...wanted, deviceId: { exact: deviceId } } : wanted });
      this.closeMic();
      this.mic = mic;
    } catch (fault) {
      if (tries && this.mic) return false;
      if (deviceId && fault.name === "OverconstrainedError") return this.openMic(""); // unplugged since it was chosen
      return this.fail(MIC_PROBLEMS[fault.name] ?? "mic_busy");
    }
    const [track] = this.mic.getAudioTracks();
    track.enabled = !this.muted;
    track.onended = () => {
      this.closeMic();
      this.on.unplugged();
    };
    for (const call of [this.leg, this.echo]) {
      const sender = call?.connection?.getSenders().find((each) => each.track?.kind === "audio");
      await sender?.replaceTrack(track);
    }
    if (this.problem.startsWith("mic_")) this.problem = "";
    this.on.changed();
    return true;
  }

  // Which one is open: another than was asked for, where that was not there.
  get micId() {
    return this.mic?.getAudioTracks()[0].getSettings().deviceId;
  }

  closeMic() {
    for (const track of this.mic?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.mic = null;
  }

  async chooseSpeaker(sinkId) {
    this.sinkId = sinkId;
    await this.audio.setSinkId?.(sinkId).catch(() => this.audio.setSinkId("")); // unplugged: the usual one
  }

  mute(on) {
    this.muted = on;
    for (const track of this.mic?.getAudioTracks() ?? []) track.enabled = !on;
  }

  // --- registration --------------------------------------------------------------------------------------------------------

  // Resolves once the phone is registered, with its endpoint's name; with "" when something is in the way.
  async start(deviceId) {
    if ((!this.mic || this.problem.startsWith("mic_")) && !(await this.openMic(deviceId))) return "";
    if (this.registered) return this.access.endpoint;
    this.wanted = true;
    if (!this.ua && !(await this.register())) return "";
    return new Promise((resolve) => (this.whenRegistered = resolve));
  }

  async register() {
    clearTimeout(this.renewal);
    const reply = await this.on.access();
    if (!this.wanted) return false; // it was stopped meanwhile
    if (!reply.ok) {
      this.renew();
      return this.fail(reply.code === "lost" ? this.problem : (NO_ACCESS[reply.code] ?? "refused"));
    }
    const { UA, WebSocketInterface } = await import("./vendor/jssip.js");
    this.stopUa();
    this.access = reply.phone;
    const { url, endpoint, password } = reply.phone;
    this.ua = new UA({
      sockets: [new WebSocketInterface(url)],
      uri: `sip:${endpoint}@${new URL(url).hostname}`,
      password,
      session_timers: false,
      register_expires: EXPIRES_S,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 4,
    });
    this.ua.on("registered", () => {
      this.registered = true;
      this.renewals = 0;
      this.problem = "";
      this.settle(endpoint);
      this.on.registered();
      this.on.changed();
    });
    this.ua.on("disconnected", () => {
      this.registered = false;
      if (!this.problem) this.problem = "switch";
      this.on.changed();
    });
    this.ua.on("unregistered", () => {
      this.registered = false;
      this.on.changed();
    });
    this.ua.on("registrationFailed", ({ cause }) => {
      this.registered = false;
      this.fail(AUTH_REFUSED.includes(cause) ? "refused" : "switch");
      if (this.problem === "refused") this.renew();
    });
    this.ua.on("newRTCSession", ({ originator, session }) => originator === "remote" && this.pickUp(session));
    this.ua.start();
    return true;
  }

  renew() {
    clearTimeout(this.renewal);
    this.renewal = setTimeout(() => this.register(), RENEW_MS[Math.min(this.renewals++, RENEW_MS.length - 1)]);
  }

  stopUa() {
    this.ua?.removeAllListeners();
    this.ua?.stop(); // hangs up and unregisters
    this.ua = null;
    this.registered = false;
  }

  // Hang up, unregister and let the microphone go.
  stop() {
    this.wanted = false;
    clearTimeout(this.renewal);
    this.endEcho();
    const { leg } = this;
    this.leg = null;
    if (leg && !leg.isEnded()) leg.terminate();
    this.stopUa();
    this.closeMic();
    this.ticker.postMessage(0);
    this.problem = "";
    this.settle("");
    this.on.changed();
  }

  fail(problem) {
    this.problem = problem;
    if (!this.ua) this.settle("");
    this.on.changed();
    return false;
  }

  settle(endpoint) {
    this.whenRegistered?.(endpoint);
    this.whenRegistered = null;
  }

  // --- the leg ---------------------------------------------------------------------------------------------------------------

  async pickUp(session) {
    if (session !== this.leg) {
      const older = this.leg;
      this.leg = session; // the engine rings when it has no leg any more: an older one is over
      if (older && !older.isEnded()) older.terminate();
    }
    const over = () => {
      if (this.leg !== session) return;
      this.leg = null;
      this.quality = null;
      this.silent = false;
      this.ticker.postMessage(0);
      this.on.lost();
      this.on.changed();
    };
    session.on("ended", over);
    session.on("failed", over);
    session.on("confirmed", () => {
      this.packets = { count: 0, at: performance.now(), last: null };
      this.ticker.postMessage(CHECK_EVERY_MS);
      this.on.up();
      this.on.changed();
    });
    if (!this.mic && !(await this.openMic(""))) return session.terminate({ status_code: 480 });
    if (session.isEnded()) return;
    session.on("peerconnection", ({ peerconnection }) => this.hear(peerconnection, this.audio));
    session.answer({ mediaStream: this.mic, pcConfig: { iceServers: [] } });
  }

  hear(connection, audio) {
    connection.addEventListener("track", ({ streams: [stream] }) => {
      audio.srcObject = stream;
      if (this.sinkId) audio.setSinkId?.(this.sinkId).catch(() => {});
      audio.play().catch(() => addEventListener("pointerdown", () => audio.play(), { once: true }));
    });
  }

  // Look at the leg: what has come in, how well, and whether anything comes at all.
  async check() {
    const { leg, packets } = this;
    const connection = leg?.connection;
    if (!connection || !leg.isEstablished() || this.checking) return;
    this.checking = true;
    const report = await connection.getStats();
    this.checking = false;
    if (this.leg !== leg) return;
    const now = performance.now();
    const found = summary(report);
    this.level = found.level;
    if (found.received > packets.count) Object.assign(packets, { count: found.received, at: now });
    const quiet = packets.count >= STEADY && now - packets.at > SILENT_MS;
    const cut = ["disconnected", "failed", "closed"].includes(connection.iceConnectionState);
    this.silent = quiet;
    if (cut ? !this.inCall || now - packets.at > TALK_SILENT_MS || packets.count < STEADY : quiet && !this.inCall) return this.giveUp();
    if (!packets.last || now - packets.last.now > 2000) {
      if (packets.last) this.quality = quality(packets.last.found, found);
      packets.last = { now, found };
    }
    this.on.changed();
  }

  // The leg is dead, though nobody has hung up.
  giveUp() {
    this.leg.terminate(); // ends it here at once, whether or not the switch can be told
  }

  // --- the echo --------------------------------------------------------------------------------------------------------------

  // Call the switch's echo: what is said comes back over the line. Resolves when it has answered, or could not be reached.
  startEcho() {
    return new Promise((resolve) => {
      const audio = document.createElement("audio");
      audio.autoplay = true;
      const host = this.ua.configuration.uri.host;
      this.echo = this.ua.call(`sip:echo@${host}`, {
        mediaStream: this.mic,
        mediaConstraints: { audio: true, video: false },
        pcConfig: { iceServers: [] },
        eventHandlers: {
          confirmed: () => resolve(true),
          ended: () => this.echoOver(),
          failed: () => {
            this.echoOver();
            resolve(false);
          },
        },
      });
      this.hear(this.echo.connection, audio);
      this.on.changed();
    });
  }

  endEcho() {
    if (this.echo && !this.echo.isEnded()) this.echo.terminate();
    this.echoOver();
  }

  echoOver() {
    this.echo = null;
    this.on.changed();
  }
}

// What matters of a leg's statistics (https://www.w3.org/TR/webrtc-stats/).
export function summary(report) {
  const found = { received: 0, lost: 0, sent: 0, jitter_ms: 0, delay_ms: null, level: 0, sent_energy: 0, heard_energy: 0 };
  for (const each of report.values()) {
    if (each.type === "inbound-rtp" && each.kind === "audio") {
      Object.assign(found, { received: each.packetsReceived, lost: each.packetsLost, jitter_ms: each.jitter * 1000, heard_energy: each.totalAudioEnergy ?? 0 });
    } else if (each.type === "outbound-rtp" && each.kind === "audio") {
      found.sent = each.packetsSent;
    } else if (each.type === "media-source" && each.kind === "audio") {
      Object.assign(found, { level: each.audioLevel ?? 0, sent_energy: each.totalAudioEnergy ?? 0 });
    } else if (each.type === "candidate-pair" && each.nominated && each.currentRoundTripTime !== undefined) {
      found.delay_ms = each.currentRoundTripTime * 1000;
    }
  }
  return found;
}

// Jitter now; lost of all that should have come between two looks.
export function quality(before, after) {
  const lost = Math.max(0, after.lost - before.lost);
  const all = after.received - before.received + lost;
  return { jitter_ms: after.jitter_ms, lost: all > 0 ? lost / all : 0, delay_ms: after.delay_ms };
}

// In a word, by what a voice in G.711 bears: above 1 % loss or 30 ms of jitter it is heard, above 5 % or 60 ms it hurts.
export function grade({ jitter_ms, lost }) {
  if (lost > 0.05 || jitter_ms > 60) return "bad";
  return lost > 0.01 || jitter_ms > 30 ? "fair" : "good";
}
