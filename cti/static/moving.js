// Where a page goes on when its server is gone or has no longer what it is for: at the first other engine that calls.
//
// A seat that was at work is so again there, and nobody logs in: the log-in is in the database, which all engines share.

const ANSWER_LIMIT_MS = 2000;
const AGAIN = "#ready";

let looking = false;

// Whether the page that was here before was ready for customers at another engine.
export function wasReady() {
  if (location.hash !== AGAIN) return false;
  history.replaceState(null, "", location.pathname);
  return true;
}

// Ask the others, and leave for the first that calls. `stays()`: not now; `ready`: it is to be so again there.
export async function moveOn(stays = () => false, ready = false) {
  if (looking || stays()) return;
  looking = true;
  for (const other of JSON.parse(document.body.dataset.others)) {
    if (!(await calls(other)) || stays()) continue;
    location.assign(`${other}${location.pathname}${ready ? AGAIN : ""}`);
    break;
  }
  looking = false;
}

async function calls(other) {
  try {
    return (await fetch(`${other}/readyz`, { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(ANSWER_LIMIT_MS) })).ok;
  } catch {
    return false; // not there
  }
}
