// Uploads straight to the data plane, with requests that the dashboard signs. Without this file the form beside it uploads.
"use strict";

const MiB = 1024 * 1024;
const WHOLE = 16 * MiB; // larger files go in parts
const MAX_PARTS = 9000;
const AT_ONCE = 3;
const TRIES = 5;

const zone = document.getElementById("drop-zone");
const list = document.getElementById("uploads");
const form = document.getElementById("upload-form");

async function sign(bucket, token, fields) {
  const body = new URLSearchParams({ csrf_token: token, ...fields });
  const answer = await fetch(`/buckets/${bucket}/sign`, { method: "POST", body });
  if (!answer.ok) throw new Error(answer.redirected ? "You are logged out." : `It could not be signed (${answer.status}).`);
  return (await answer.json()).urls;
}

// XMLHttpRequest, for fetch tells nothing of how far an upload is.
function send(method, url, body, { type, onProgress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    if (type) request.setRequestHeader("content-type", type);
    request.upload.onprogress = (event) => onProgress?.(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return resolve(request);
      const said = request.responseXML?.querySelector("Message")?.textContent;
      const error = new Error(said || `The gateway answered ${request.status}.`);
      error.final = request.status >= 400 && request.status < 500 && request.status !== 408 && request.status !== 429;
      reject(error);
    };
    request.onerror = () => reject(new Error("The connection broke."));
    request.onabort = () => reject(Object.assign(new Error("Cancelled."), { final: true }));
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) return reject(Object.assign(new Error("Cancelled."), { final: true }));
    request.send(body);
  });
}

async function persistently(work, signal) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await work();
    } catch (error) {
      if (error.final || tried === TRIES || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tried * (0.5 + Math.random())));
    }
  }
}

async function uploadWhole(file, key, ask, tell, signal) {
  await persistently(async () => {
    const [url] = await ask({ step: "put", key });
    await send("PUT", url, file, { type: file.type || "application/octet-stream", onProgress: tell, signal });
  }, signal);
}

async function uploadParts(file, key, ask, tell, signal) {
  const size = Math.max(WHOLE, Math.ceil(file.size / MAX_PARTS / MiB) * MiB);
  const count = Math.ceil(file.size / size);
  const [create] = await ask({ step: "create", key });
  const begun = await send("POST", create, null, { type: file.type || "application/octet-stream", signal });
  const upload_id = begun.responseXML.querySelector("UploadId").textContent;
  const sent = new Array(count).fill(0);
  const etags = new Array(count);
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next++;
      await persistently(async () => {
        sent[index] = 0;
        const [url] = await ask({ step: "parts", key, upload_id, first: index + 1, count: 1 });
        const part = file.slice(index * size, (index + 1) * size);
        const onProgress = (loaded) => { sent[index] = loaded; tell(sent.reduce((a, b) => a + b, 0)); };
        const done = await send("PUT", url, part, { onProgress, signal });
        etags[index] = done.getResponseHeader("etag");
      }, signal);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker));
    const parts = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag.replaceAll("\"", "&quot;")}</ETag></Part>`);
    const body = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
    const [complete] = await ask({ step: "complete", key, upload_id });
    const done = await send("POST", complete, body, { type: "application/xml", signal });
    const refusal = done.responseXML?.querySelector("Error > Message");
    if (refusal) throw new Error(refusal.textContent);
  } catch (error) {
    next = count;
    const [abort] = await ask({ step: "abort", key, upload_id });
    send("DELETE", abort, null).catch(() => {});
    throw error;
  }
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${unit ? bytes.toFixed(1) : bytes}\u00a0${units[unit]}`;
}

function row(file) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  name.className = "upload-name";
  name.textContent = file.name;
  const bar = document.createElement("progress");
  bar.max = Math.max(file.size, 1);
  bar.value = 0;
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  const state = document.createElement("span");
  state.className = "upload-state";
  state.textContent = "Waiting";
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.className = "button secondary compact";
  cancel.textContent = "Cancel";
  item.append(name, bar, state, cancel);
  list.append(item);
  list.hidden = false;
  return { item, bar, state, cancel };
}

const waiting = [];
let running = false;
let failed = false;

async function run() {
  if (running) return;
  running = true;
  while (waiting.length) {
    const { file, path, ui, control } = waiting.shift();
    const { bucket, prefix, token } = zone.dataset;
    const ask = (fields) => sign(bucket, token, fields);
    const tell = (loaded) => {
      ui.bar.value = loaded;
      const percent = Math.min(100, Math.floor((100 * loaded) / Math.max(file.size, 1)));
      ui.state.textContent = `${percent}\u00a0% of ${size(file.size)}`;
    };
    try {
      if (control.signal.aborted) throw new Error("Cancelled.");
      const upload = file.size > WHOLE ? uploadParts : uploadWhole;
      await upload(file, prefix + path, ask, tell, control.signal);
      ui.bar.value = ui.bar.max;
      ui.state.textContent = "Uploaded";
      ui.item.dataset.state = "done";
      announcer.textContent = `${file.name} is uploaded`;
    } catch (error) {
      failed = true;
      ui.state.textContent = error.message;
      ui.item.dataset.state = "failed";
      announcer.textContent = `${file.name}: ${error.message}`;
    }
    ui.cancel.remove();
  }
  running = false;
  if (!failed) location.reload();
}

function take(files) {
  for (const { file, path } of files) {
    const ui = row(file);
    const control = new AbortController();
    ui.cancel.addEventListener("click", () => control.abort());
    waiting.push({ file, path, ui, control });
  }
  run();
}

// Folders that are dropped come with what is in them.
async function entries(items) {
  const found = [];
  const walk = async (entry, path) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, path: path + file.name });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!batch.length) return;
      for (const inner of batch) await walk(inner, `${path}${entry.name}/`);
    }
  };
  for (const entry of items) await walk(entry, "");
  return found;
}

if (zone) {
  document.getElementById("drop-hint").textContent = "files to this folder, or drop them anywhere on this page";
  const input = document.getElementById("file");
  input.multiple = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(Array.from(input.files, (file) => ({ file, path: file.name })));
    form.reset();
  });
  let depth = 0;
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!isFiles(event)) return;
    depth += 1;
    zone.classList.add("dragging");
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) zone.classList.remove("dragging");
  });
  addEventListener("dragover", (event) => { if (isFiles(event)) event.preventDefault(); });
  addEventListener("drop", async (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    depth = 0;
    zone.classList.remove("dragging");
    const dropped = Array.from(event.dataTransfer.items || [], (item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = Array.from(event.dataTransfer.files, (file) => ({ file, path: file.name }));
    take(dropped.length ? await entries(dropped) : files);
  });
  addEventListener("beforeunload", (event) => { if (running) event.preventDefault(); });
}
