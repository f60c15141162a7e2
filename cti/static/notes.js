// Notes from supervisors: quiet lines above the work, which stay until they have been read.

import { t, time } from "./text.js";

export function noteList({ list, read }) {
  const shown = new Map();

  function take(note) {
    if (shown.has(note.id)) return;
    const item = document.createElement("li");
    const who = document.createElement("b");
    who.textContent = `${note.by} ${time(note.at)}`;
    const text = document.createElement("span");
    text.textContent = note.text;
    const button = document.createElement("button");
    button.textContent = t("note.read");
    button.addEventListener("click", () => {
      if (read(note.id)) drop(note.id);
    });
    item.append(who, text, button);
    shown.set(note.id, item);
    list.append(item);
    list.hidden = false;
  }

  function drop(id) {
    shown.get(id)?.remove();
    shown.delete(id);
    list.hidden = shown.size === 0;
  }

  return {
    take,
    // The whole of what is unread: what another window has read is gone.
    state(unread) {
      for (const id of [...shown.keys()]) if (!unread.some((note) => note.id === id)) drop(id);
      unread.forEach(take);
    },
  };
}
