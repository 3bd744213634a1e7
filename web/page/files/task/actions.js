// What can be done with a task: run, cancel, retry, export, delete.

import { ROOT, getJson, postJson, request } from "../api.js";
import { line } from "../format.js";
import { confirm } from "../parts.js";
import { html } from "../vendor/lit-html.js";
import { start } from "./box.js";
import { FINAL } from "./fold.js";

const EXPORTS = {
  Markdown: { ending: "md", get: (id) => text(`/tasks/${id}/report`, "text/markdown") },
  HTML: { ending: "html", get: htmlFile },
  JSON: {
    ending: "json",
    get: async (id) => JSON.stringify(await getJson(`/tasks/${id}`), null, 2),
  },
  NDJSON: {
    ending: "ndjson",
    get: (id) => text(`/tasks/${id}/events?follow=false`, "application/x-ndjson"),
  },
};

export function actions(page) {
  const { status } = page.past.now;
  const isFinal = FINAL.has(status);
  const button = (words, act) =>
    html`<button ?disabled=${page.isBusy} @click=${() => attempt(page, act)}>${words}</button>`;
  return html`<div class="actions">
    ${status === "pending" ? button("Run", run) : null}
    ${status === "queued" || status === "executing" ? button(page.isBusy ? "Cancelling …" : "Cancel", cancel) : null}
    ${status === "failed" || status === "cancelled" ? button("Retry", retry) : null}
    <details class="menu" @keydown=${closeMenu} @focusout=${closeMenu}>
      <summary>Export</summary>
      <ul>${Object.keys(EXPORTS).map((name) => html`<li>${button(name, () => save(page, name))}</li>`)}</ul>
    </details>
    ${isFinal || status === "pending" ? button("Delete", remove) : null}
  </div>`;
}

// Escape closes the menu, and so does leaving it.
function closeMenu({ type, key, currentTarget: menu, relatedTarget }) {
  if (type === "focusout" ? menu.contains(relatedTarget) : key !== "Escape") return;
  menu.removeAttribute("open");
  if (key) menu.querySelector("summary").focus();
}

async function attempt(page, act) {
  [page.isBusy, page.error] = [true, null];
  page.redraw();
  try {
    await act(page);
  } catch (error) {
    page.error = error;
  }
  page.isBusy = false;
  page.redraw();
}

async function run(page) {
  await start(page.id);
  page.read();
}

async function retry(page) {
  await start(page.id, "retry");
  page.read();
}

async function cancel(page) {
  await postJson(`/tasks/${page.id}/cancel`, {});
  page.read();
}

async function remove(page) {
  const title = line(page.past.now.task_description, 80);
  if (!(await confirm("Delete this task?", `“${title}” and its report are deleted.`, "Delete")))
    return;
  await request(`/tasks/${page.id}`, { method: "DELETE" });
  location.hash = "#/tasks";
}

// --- exports -----------------------------------------------------------------------------------------

async function save(page, name) {
  const { ending, get } = EXPORTS[name];
  const content = await get(page.id, page);
  const link = document.createElement("a");
  link.href = window.URL.createObjectURL(new Blob([content]));
  link.download = `${fileName(page.past.now.task_description)}.${ending}`;
  link.click();
  setTimeout(() => window.URL.revokeObjectURL(link.href), 60_000);
  document.querySelector(".menu")?.removeAttribute("open");
}

async function text(path, accept) {
  return (await request(path, { headers: { Accept: accept } })).text();
}

// The server's fragment as a file that shows by itself, without scripts.
async function htmlFile(id, page) {
  const title = document.createElement("title");
  title.textContent = line(page.past.now.task_description);
  const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`;
  const style =
    "<style>body{max-width:42rem;margin:3rem auto;padding:0 1rem;font:1.1rem/1.6 Georgia,serif}</style>";
  const base = document.createElement("base"); // Its links lead to the documents of this server.
  base.href = ROOT.href;
  const report = await text(`/tasks/${id}/report`, "text/html");
  return `<!doctype html>\n<meta charset="utf-8">\n${policy}\n${base.outerHTML}\n${title.outerHTML}\n${style}\n${report}`;
}

function fileName(description) {
  const words = description
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "");
  return words.slice(0, 60).toLowerCase() || "task";
}
