// The library: what is in it, a search through it, and new documents by drop, choice or address.

import { address, placeAddress } from "../address.js";
import { getJson, postJson, request } from "../api.js";
import { count, day, line, mediaKind, size } from "../format.js";
import { announce, confirm, problem } from "../parts.js";
import { html } from "../vendor/lit-html.js";
import { chosenFiles, droppedFiles } from "./dropped.js";
import { Uploads } from "./upload.js";

export function openLibrary(first, redraw) {
  let documents = null;
  let total = 0;
  let cursor = null;
  let found = null;
  let asked = "";
  let error = null;

  const attempt = async (get) => {
    try {
      error = null;
      await get();
    } catch (caught) {
      error = caught;
    }
    redraw();
  };
  const load = async () => {
    const [page, health] = await Promise.all([getJson("/documents?limit=100"), getJson("/health")]);
    [documents, cursor, total] = [page.documents, page.next_cursor, health.library.documents];
  };
  const more = () =>
    attempt(async () => {
      const page = await getJson(`/documents?${new URLSearchParams({ limit: 100, cursor })}`);
      [documents, cursor] = [[...documents, ...page.documents], page.next_cursor];
    });
  const remove = (one) =>
    attempt(async () => {
      const sure = await confirm(
        "Remove this document?",
        `“${line(one.title)}” is deleted with its text.`,
        "Remove",
      );
      if (!sure) return;
      await request(`/documents/${one.document_id}`, { method: "DELETE" });
      announce(`${line(one.title)} was removed.`);
      await load();
    });
  const uploads = new Uploads(redraw, () => attempt(load));
  const fetchPage = (event) => {
    event.preventDefault();
    const box = event.target.elements.url;
    attempt(async () => {
      const added = await postJson("/documents", { url: box.value });
      announce(`${line(added.title)} was added.`);
      box.value = "";
      await load();
    });
  };
  const search = (event) => {
    event.preventDefault();
    location.hash = address(["documents"], { q: event.target.elements.q.value });
  };
  const go = ({ query }) => {
    const words = query.get("q") ?? "";
    [asked, found] = [words, null];
    if (!words) return;
    attempt(async () => {
      const { results } = await getJson(
        `/documents/search?${new URLSearchParams({ q: words, limit: 20 })}`,
      );
      if (words === asked) found = results; // A slow answer may come after the next one.
    });
  };
  const upload = async (found) => {
    const { files, leftOut } = await found;
    files.forEach((file) => uploads.add(file));
    uploads.leave(leftOut);
  };
  let isOver = false;
  const hover = (is) => {
    if (is === isOver) return;
    isOver = is;
    redraw();
  };
  const drop = (event) => {
    event.preventDefault();
    hover(false);
    upload(droppedFiles(event.dataTransfer));
  };

  // A file that misses the zone by a little must not replace the page.
  const over = (event) => {
    event.preventDefault();
    hover(true);
  };
  const leave = ({ relatedTarget }) => relatedTarget || hover(false); // It has left the window.
  const listeners = { dragover: over, dragleave: leave, drop };
  for (const [type, heard] of Object.entries(listeners)) window.addEventListener(type, heard);
  go(first);
  attempt(load);
  return {
    title: () => "Library",
    go,
    renew: () => attempt(load),
    close() {
      for (const [type, heard] of Object.entries(listeners)) window.removeEventListener(type, heard);
    },
    template: () => html`<h1>Library</h1>
      ${dropZone(uploads, upload, isOver)} ${pageForm(fetchPage)} ${uploads.template()} ${problem(error)}
      <form class="inline" role="search" @submit=${search}>
        <label for="q">Search the library</label>
        <span class="row"><input id="q" name="q" type="search" .value=${asked} dir="auto" /><button>Search</button></span>
      </form>
      ${asked && found ? results(asked, found) : null}
      ${documents && !asked ? listing(documents, total, remove) : null}
      ${cursor && !asked ? html`<p><button @click=${more}>Show more documents</button></p>` : null}`,
  };
}

const dropZone = (uploads, upload, isOver) => html`<div class=${isOver ? "drop over" : "drop"}>
  <p><strong>Drop files or folders anywhere on this page</strong></p>
  <p class="row">
    <label class="button">Choose files<input type="file" multiple class="unseen"
        @change=${({ target }) => {
          [...target.files].forEach((file) => uploads.add({ file, path: file.name }));
          target.value = "";
        }} /></label>
    <label class="button">Choose a folder<input type="file" webkitdirectory class="unseen"
        @change=${({ target }) => {
          upload(chosenFiles([...target.files]));
          target.value = "";
        }} /></label>
  </p>
  <p class="quiet">Text, Markdown, HTML, PDF, CSV, JSON, notebooks, source code, e-mail, ODT, EPUB and more.</p>
</div>`;

const pageForm = (fetchPage) => html`<form class="inline" @submit=${fetchPage}>
  <label for="url">Or add a web page by its address</label>
  <span class="row"><input id="url" name="url" type="url" required placeholder="https://" /><button>Add</button></span>
</form>`;

function listing(documents, total, remove) {
  const own = documents.filter((one) => !one.sample);
  const lead = own.length
    ? html`<h2>${count(total, "document")}</h2>`
    : html`<h2>The sample library</h2>
        <p class="quiet">It is searched until you add a document of your own.</p>`;
  const names = new Set();
  const isOlder = ({ name }) => {
    const isKnown = name && names.has(name); // The newest come first.
    names.add(name);
    return isKnown;
  };
  return html`${lead}<ul class="rows">${documents.map((one) => row(one, isOlder(one), remove))}</ul>`;
}

const row = (one, isOlder, remove) => html`<li>
  <a href=${address(["documents", one.document_id])} dir="auto">${line(one.title)}</a>
  ${one.name ? html`<span class="path" dir="auto">${line(one.name)}</span>` : null}
  <span class="quiet">
    ${mediaKind(one.media_type)} · ${size(one.bytes)} · ${count(one.passages, "passage")} · ${day(one.created_at)}
    ${isOlder ? " · older than another of this name" : null}
    ${one.notes.length ? html` · ${count(one.notes.length, "note")}` : null}
    ${one.sample ? null : html`<button class="plain" @click=${() => remove(one)} aria-label=${`Remove ${line(one.title)}`}>Remove</button>`}
  </span>
</li>`;

const results = (asked, found) => html`<section aria-labelledby="results">
  <h2 id="results">${found.length ? `${count(found.length, "passage")} for` : "Nothing was found for"} “<bdi>${asked}</bdi>”</h2>
  ${found.length ? null : html`<p>Try other words, or add a document that covers it.</p>`}
  <p><a href="#/documents">Show all documents</a></p>
  <ol class="passages">${found.map(passage)}</ol>
</section>`;

const passage = (one) => html`<li>
  <a href=${placeAddress(one)} dir="auto">${line(one.title)}${one.section ? ` › ${line(one.section)}` : ""}</a>
  <blockquote dir="auto">${line(one.text, 600)}</blockquote>
</li>`;
