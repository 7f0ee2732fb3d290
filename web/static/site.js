// Conveniences only: every page works without this file.
"use strict";

const announcer = document.createElement("p");
announcer.className = "visually-hidden";
announcer.setAttribute("role", "status");
document.getElementById("main")?.append(announcer);

for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  const label = button.firstChild;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      label.data = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      label.data = "Selected";
    }
    announcer.textContent = label.data;
    setTimeout(() => { label.data = "Copy"; announcer.textContent = ""; }, 1600);
  });
}

for (const all of document.querySelectorAll("input[data-mark-all]")) {
  const boxes = all.form.querySelectorAll("tbody input[type=checkbox]");
  all.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
}

// A second click while the first is under way would send the form twice.
for (const form of document.querySelectorAll("form[method=post]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  addEventListener("pageshow", () => { sent = false; });
}
