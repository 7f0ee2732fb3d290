// Brings the parts of a page that change up to date while somebody looks at it. The page works without this file.
"use strict";

const every = 10_000;
// A page that lies open must not keep its session alive for ever.
const patience = 20 * 60_000;
let touched = Date.now();
for (const kind of ["pointermove", "pointerdown", "keydown", "scroll"]) {
  addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
}

async function refresh() {
  if (document.hidden || Date.now() - touched > patience) return;
  const answer = await fetch(location.href, { redirect: "error" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other && !part.contains(document.activeElement) && !part.isEqualNode(other)) part.replaceWith(other);
  }
}

let under = false;
async function again() {
  if (under) return;
  under = true;
  // Whoever is not reached now is tried again.
  try { await refresh(); } catch { } finally { under = false; }
}
setInterval(again, every);
document.addEventListener("visibilitychange", again);
