// Returns what is wrong with the page as it is, one sentence a fault.
//
// Contrast by WCAG 2.2's formula (relative luminance), against the background of the nearest opaque ancestor with
// translucent ones painted over it: 4.5 for text, 3 for large text (24 px, or 18.66 px bold). Disabled controls
// are exempt.
() => {
  const faults = [];
  const where = (e) => `${e.tagName.toLowerCase()}#${e.id}.${e.className} "${(e.textContent || "").trim().slice(0, 30)}"`;
  const visible = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && !e.closest(".unseen");

  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = (top, base) => [0, 1, 2].map((i) => top[i] * top[3] + base[i] * (1 - top[3])).concat(1);
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const lineage = (e) => (e ? [e, ...lineage(e.parentElement)] : []);
  const behind = (e) => {
    const layers = [];
    for (const each of lineage(e)) {
      layers.unshift(parse(getComputedStyle(each).backgroundColor));
      if (layers[0][3] === 1) break;
    }
    return layers.reduce((base, layer) => over(layer, base), [255, 255, 255, 1]);
  };
  const contrast = (e) => {
    const back = behind(e);
    const ink = parse(getComputedStyle(e).color);
    ink[3] *= lineage(e).reduce((product, each) => product * Number(getComputedStyle(each).opacity), 1);
    const [light, dark] = [luminance(over(ink, back)), luminance(back)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  for (const e of document.body.querySelectorAll("*")) {
    if (!visible(e) || e.closest("script, template, :disabled, [aria-hidden=true]")) continue;
    const hasText = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!hasText && !e.matches("input, textarea")) continue;
    const { fontSize, fontWeight } = getComputedStyle(e);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    const ratio = contrast(e);
    if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${where(e)}`);
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), textarea, select")) {
    if (visible(e) && !e.labels?.length && !e.ariaLabel) faults.push(`no label: ${where(e)}`);
  }
  for (const e of document.querySelectorAll("button, a[href]")) {
    if (!visible(e)) continue;
    if (!e.textContent.trim() && !e.ariaLabel) faults.push(`no name: ${where(e)}`);
    const { width, height } = e.getBoundingClientRect();
    if (e.matches("button") && (height < 24 || width < 24)) faults.push(`smaller than 24 px: ${where(e)}`);
  }
  if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title) faults.push("no title");
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  if (document.documentElement.scrollWidth > innerWidth) faults.push("scrolls sideways");
  return faults;
};
