// Notes from supervisors: quiet lines above the work, which stay until they have been read.

import { t, time } from "./text.js";

export function noteList({ list, read }) {
  const shown = new Map(); // by the server that told of it, whose numbers are its own, and the note's number
  let server = "";
  const key = (id) => `${server} ${id}`;

  function take(note) {
    const own = key(note.id);
    if (shown.has(own)) return;
    const item = document.createElement("li");
    const who = document.createElement("b");
    who.textContent = `${note.by} ${time(note.at)}`;
    const text = document.createElement("span");
    text.textContent = note.text;
    const button = document.createElement("button");
    button.textContent = t("note.read");
    button.addEventListener("click", () => {
      if (own !== key(note.id) || read(note.id)) drop(own); // a server that is gone need not be told
    });
    item.append(who, text, button);
    shown.set(own, item);
    list.append(item);
    list.hidden = false;
  }

  function drop(own) {
    shown.get(own)?.remove();
    shown.delete(own);
    list.hidden = shown.size === 0;
  }

  return {
    take,
    // The whole of what is unread at this server: what another window has read is gone. Of what the server before it
    // told, this one knows nothing: it stays until it has been read here.
    state(unread, epoch) {
      server = epoch;
      const there = new Set(unread.map((note) => key(note.id)));
      for (const own of [...shown.keys()]) if (own.startsWith(key("")) && !there.has(own)) drop(own);
      unread.forEach(take);
    },
  };
}
