// The seat's phone as the agent sees it: which one, its panel, mute, what is wrong and what to do about it.
//
// Without a phone in the page (no switch offers it) all that is left is the name of the phone on the desk.

import * as seat from "./seat.js";
import { grade, Softphone } from "./softphone.js";
import { decimal, percent, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const CHOICE = "phone-choice"; // "browser" or "desk", of this browser
const MICROPHONE = "phone-microphone";
const SPEAKER = "phone-speaker";
const WITH_LEG = ["paused", "ready", "preview", ...seat.IN_CALL, "wrap_up"];
const REDIAL_MS = [0, 500, 1000, 2000, 4000]; // then every 4 s
const MIC_AGAIN_MS = 1000;
const ECHO_S = 10;
const TONE_S = 0.6;
const TONE_HZ = 440;
const UNKNOWN = "–";

export class Phone {
  // `desk`: { request(command), model, changed(), say(text, wrong) }
  constructor(desk) {
    this.desk = desk;
    this.offered = Boolean($("phone-panel"));
    this.choosing = false;
    this.started = false;
    this.owes = false; // the seat, which is nobody's yet, is taken once the phone is registered
    this.redials = 0; // since a leg was up
    this.shownMic = null; // which one the panel shows, while it is open
    if (!this.offered) return;
    if (document.body.dataset.choice) localStorage.setItem(CHOICE, document.body.dataset.choice);
    this.soft = new Softphone({
      access: () => desk.request({ type: "open_phone" }),
      registered: () => this.arrive(),
      up: () => (this.redials = 0),
      lost: () => this.used && desk.request({ type: "phone_lost" }),
      unplugged: async () => {
        await this.soft.openMic("");
        await this.chosenMicAgain(); // plugged in again before another one was open
        this.fillDevices();
      },
      changed: () => {
        desk.changed();
        this.heal();
      },
    });
    this.listen();
  }

  get choice() {
    return localStorage.getItem(CHOICE) ?? "";
  }

  // Whether the phone in this page is the seat's.
  get used() {
    return this.offered && this.choice === "browser";
  }

  // Whether the seat is somebody's already.
  get seated() {
    return (this.desk.model.seat?.state ?? "offline") !== "offline";
  }

  // Whether the seat can be taken without asking.
  get chosen() {
    return this.offered ? Boolean(this.choice) && (this.used || Boolean(document.body.dataset.phone)) : Boolean(document.body.dataset.phone);
  }

  // Make the phone ready; resolves with the name the seat logs in with, or "" when something is in the way.
  async take(typed) {
    if (this.offered) {
      localStorage.setItem(CHOICE, $("phone-choice").querySelector(":checked").value);
      this.choosing = false;
      this.started = this.used;
      if (this.used) {
        const { seated } = this;
        const name = await this.soft.start(localStorage.getItem(MICROPHONE) ?? "");
        this.owes = !name && !seated;
        return name;
      }
      this.owes = false;
      this.soft.stop();
    }
    return typed || document.body.dataset.phone;
  }

  // Whoever presses B wants it now; what the browser would not give before, it may give meanwhile.
  async retry() {
    this.redials = 0;
    await this.take("");
    this.heal();
  }

  // It is registered. The seat that waits for that is taken, unless another phone is being chosen.
  arrive() {
    const here = $("phone-choice").querySelector(":checked").value === "browser";
    const takes = this.owes && here && !this.choosing && !this.seated;
    this.owes = false;
    if (takes) $("take-seat").click();
    this.heal();
  }

  // The seat was taken elsewhere, or left.
  stop() {
    this.over = true;
    this.started = false;
    this.owes = false;
    this.soft?.stop();
  }

  // Whether the seat should have a leg, and has none that this page knows of.
  wanting() {
    const { state, reason } = this.desk.model.seat ?? {};
    if (!this.used || !this.soft.registered || this.soft.leg) return "";
    if (WITH_LEG.includes(state)) return "phone_lost"; // the switch still has one: of this page, or of the one before it
    return state === "no_phone" && reason !== "switch_down" && this.soft.mic ? "redial_phone" : "";
  }

  // Have the leg rung again: the agent need do nothing.
  async heal() {
    if (!this.used) return;
    if (this.seated) this.owes = false; // once it has been, whoever ended that meant it
    this.soft.inCall = seat.inCall(this.desk.model);
    this.soft.mute(seat.muted(this.desk.model)); // the switch lets nothing through; here nothing is sent, either
    if (!this.started && !this.over && this.seated) return void this.retry(); // a page that was loaded anew
    if (this.healing) return;
    this.healing = true;
    for (let type, ok = true; ok && (type = this.wanting()); ) {
      if (type === "redial_phone") await pause(REDIAL_MS[Math.min(this.redials++, REDIAL_MS.length - 1)]);
      type = this.wanting();
      ok = Boolean(type) && (await this.desk.request(type === "redial_phone" ? { type, resume: true } : { type })).code !== "lost";
    }
    this.healing = false;
  }

  // --- what the agent reads -------------------------------------------------------------------------------------------------

  get problem() {
    return navigator.onLine || !this.soft.problem ? this.soft.problem : "offline";
  }

  problemText(state) {
    return t(`phone.problem.${this.problem}`, { key: state === "offline" ? "L" : "B" });
  }

  // What comes next, where the phone in the page knows better; "" where it does not.
  next(state) {
    if (!this.used) return "";
    if (this.problem && (["offline", "no_phone", "phone"].includes(state) || this.problem.startsWith("mic_"))) return this.problemText(state);
    if (state === "no_phone") return t("next.healing");
    if (state === "phone") return t("next.phone_here");
    return this.soft.silent && this.soft.inCall ? t("next.silent") : "";
  }

  word() {
    const { soft } = this;
    if (!this.used) return this.choice ? "desk" : "off";
    if (this.voiceGoesOn) return "connecting";
    if (this.problem) return "problem";
    if (soft.on_leg) return soft.silent && soft.inCall ? "silent" : soft.quality ? grade(soft.quality) : "there";
    return soft.registered ? "there" : soft.ua ? "connecting" : "off";
  }

  // The switch can't be told anything, but is heard.
  get voiceGoesOn() {
    return this.problem === "switch" && this.soft.on_leg && !this.soft.silent;
  }

  stateText() {
    if (this.used && this.voiceGoesOn) return t("phone.state.voice");
    if (this.used && this.problem) return this.problemText(this.desk.model.seat?.state ?? "offline");
    const word = this.word();
    if (this.used && this.soft.on_leg) return t("phone.state.up");
    return t(`phone.state.${word}`, { phone: document.body.dataset.phone || "–" });
  }

  draw() {
    if (!this.offered) return;
    const { soft } = this;
    const word = this.word();
    const state = this.desk.model.seat?.state ?? "offline";
    $("phone-open").dataset.word = word;
    set($("phone-word"), t(`phone.word.${word}`));
    const browser = $("phone-choice").querySelector(":checked")?.value === "browser";
    $("seat-phone").hidden = document.querySelector("label[for=seat-phone]").hidden = browser;
    if ($("phone-panel").hidden) return;
    set($("phone-state"), this.stateText());
    $("phone-state").classList.toggle("problem", this.used && Boolean(this.problem) && !this.voiceGoesOn);
    $("phone-here").hidden = !this.used;
    if (this.used && soft.micId !== this.shownMic) {
      this.shownMic = soft.micId;
      this.fillDevices();
      this.meter();
    }
    set($("level-hint"), t(soft.muted ? "phone.mute_now" : "phone.speak"));
    const idle = !seat.atWork(this.desk.model) && state !== "preview";
    $("echo").disabled = !soft.registered || !idle;
    $("echo").setAttribute("aria-pressed", String(Boolean(soft.echo)));
    set($("echo-label"), t(soft.echo ? "phone.echo_stop" : "phone.echo"));
    if (!soft.echo && !this.echoFailed) set($("echo-hint"), idle ? "" : t("phone.echo_when"));
    $("phone-change").disabled = !idle;
    const { quality } = soft;
    const ms = (value) => (quality && value(quality) !== null ? t("phone.ms", { ms: decimal(value(quality), 0) }) : UNKNOWN);
    set($("line-grade"), quality ? t(`phone.grade.${grade(quality)}`) : UNKNOWN);
    set($("line-jitter"), ms((q) => q.jitter_ms));
    set($("line-lost"), quality ? percent(quality.lost) : UNKNOWN);
    set($("line-delay"), ms((q) => q.delay_ms));
  }

  // --- the panel --------------------------------------------------------------------------------------------------------------

  listen() {
    const { soft } = this;
    const radios = [...$("phone-choice").querySelectorAll("input")];
    for (const radio of radios) {
      radio.checked = radio.value === (this.choice || "browser");
      radio.addEventListener("change", () => this.desk.changed());
    }
    $("phone-open").addEventListener("click", () => ($("phone-panel").hidden ? this.open() : this.close()));
    $("phone-close").addEventListener("click", () => this.close());
    $("microphone").addEventListener("change", async () => {
      localStorage.setItem(MICROPHONE, $("microphone").value);
      await soft.openMic($("microphone").value);
    });
    $("speaker").addEventListener("change", () => {
      localStorage.setItem(SPEAKER, $("speaker").value);
      soft.chooseSpeaker($("speaker").value);
    });
    $("tone").addEventListener("click", () => this.tone());
    $("echo").addEventListener("click", () => (soft.echo ? soft.endEcho() : this.echo()));
    $("phone-change").addEventListener("click", () => {
      this.choosing = true;
      if (soft.whenRegistered) soft.stop(); // what it waits for may never come
      this.close();
      this.desk.changed();
      radios.find((radio) => radio.checked).focus();
    });
    soft.chooseSpeaker(localStorage.getItem(SPEAKER) ?? "");
    addEventListener("pagehide", () => soft.stop());
    addEventListener("beforeunload", (event) => soft.on_leg && soft.inCall && event.preventDefault());
    for (const kind of ["online", "offline"]) addEventListener(kind, () => this.desk.changed());
    const microphoneAgain = async () => {
      await this.chosenMicAgain();
      this.fillDevices();
      if (!this.used || !["mic_denied", "mic_missing"].includes(soft.problem)) return;
      if (this.desk.model.seat?.state === "offline") $("take-seat").click();
      else this.retry();
    };
    navigator.mediaDevices?.addEventListener("devicechange", microphoneAgain);
    navigator.permissions?.query({ name: "microphone" }).then((status) => (status.onchange = microphoneAgain), () => {});
  }

  async open() {
    $("phone-panel").hidden = false;
    $("phone-open").setAttribute("aria-expanded", "true");
    this.desk.changed();
    $("phone-close").focus();
    if (!this.used) return;
    if (!this.soft.mic) await this.soft.openMic(localStorage.getItem(MICROPHONE) ?? "");
  }

  close() {
    if (!this.offered || $("phone-panel").hidden) return;
    $("phone-panel").hidden = true;
    $("phone-open").setAttribute("aria-expanded", "false");
    if ($("phone-panel").contains(document.activeElement)) document.activeElement.blur(); // so that keys act
    this.soft.endEcho();
    clearInterval(this.metering);
    this.shownMic = null;
    if (!this.soft.wanted) this.soft.closeMic();
  }

  // The one that was chosen is there again, and another has taken its place meanwhile. It is seen before it can be opened.
  async chosenMicAgain(again = true) {
    const kept = localStorage.getItem(MICROPHONE);
    if (!kept || !this.soft.mic || this.soft.micId === kept) return;
    const devices = await navigator.mediaDevices.enumerateDevices();
    if (!devices.some((each) => each.kind === "audioinput" && each.deviceId === kept)) return;
    if ((await this.soft.openMic(kept, true)) || !again) return;
    await pause(MIC_AGAIN_MS);
    await this.chosenMicAgain(false);
  }

  // The names of devices are told once the microphone is allowed.
  async fillDevices() {
    if ($("phone-panel").hidden) return;
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const speaker = localStorage.getItem(SPEAKER);
    const microphone = localStorage.getItem(MICROPHONE) && this.soft.micId; // the open one, which may be another than was chosen
    for (const [id, kind, used] of [["microphone", "audioinput", microphone], ["speaker", "audiooutput", speaker]]) {
      const found = devices.filter((each) => each.kind === kind && each.deviceId && each.deviceId !== "default" && each.deviceId !== "communications");
      const options = [new Option(t("phone.usual"), ""), ...found.map((each) => new Option(each.label || each.deviceId, each.deviceId))];
      $(id).replaceChildren(...options);
      $(id).value = found.some((each) => each.deviceId === used) ? used : "";
    }
    $("speaker").hidden = $("speaker-label").hidden = !("setSinkId" in HTMLMediaElement.prototype);
  }

  // Show how loud the microphone is, while the panel is open.
  meter() {
    clearInterval(this.metering);
    if (!this.soft.mic) return;
    const context = (this.context ??= new AudioContext());
    this.source?.disconnect();
    this.source = context.createMediaStreamSource(this.soft.mic);
    const analyser = context.createAnalyser();
    this.source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.metering = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const loudest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
      const shown = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(loudest, 1e-3)) / 2.5)); // 50 dB over the bar
      $("level").firstElementChild.style.transform = `scaleX(${shown.toFixed(2)})`;
      $("level").setAttribute("aria-valuenow", String(Math.round(shown * 100)));
    }, 100);
  }

  async tone() {
    const context = (this.context ??= new AudioContext());
    const [oscillator, volume, out] = [context.createOscillator(), context.createGain(), context.createMediaStreamDestination()];
    volume.gain.value = 0.2;
    oscillator.frequency.value = TONE_HZ;
    oscillator.connect(volume).connect(out);
    const audio = new Audio();
    audio.srcObject = out.stream;
    await audio.setSinkId?.(this.soft.sinkId).catch(() => {});
    await audio.play();
    oscillator.onended = () => (audio.srcObject = null);
    oscillator.start();
    oscillator.stop(context.currentTime + TONE_S);
  }

  async echo() {
    this.echoFailed = false;
    const answered = await this.soft.startEcho();
    this.echoFailed = !answered;
    if (!answered) set($("echo-hint"), t("phone.echo_failed"));
    for (let left = ECHO_S; left > 0 && this.soft.echo; left--) {
      set($("echo-hint"), t("phone.echo_on", { seconds: left }));
      await pause(1000);
    }
    if (answered) this.soft.endEcho();
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const set = (element, text) => element.textContent !== text && (element.textContent = text);
