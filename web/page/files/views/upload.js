// Uploads: two at a time, each with its progress, and again later when the server is full.

import { authorization, problemError, unreachable, url } from "../api.js";
import { count } from "../format.js";
import { askForKey, currentKey } from "../key.js";
import { announce, withCode } from "../parts.js";
import { html } from "../vendor/lit-html.js";

const AT_ONCE = 2;
const TRIES = 8;
const SHOWN = 20; // A folder may have thousands of files.

export class Uploads {
  constructor(redraw, changed) {
    this._redraw = redraw;
    this._changed = changed;
    this._all = []; // {path, file, sent, state: waiting | sending | added | known | failed, error, notes}
    this._leftOut = new Map(); // Of dropped folders: how many of each kind.
    this._running = 0;
  }

  add({ file, path }) {
    this._all.push({ file, path, sent: 0, state: "waiting", error: "", notes: [] });
    this._next();
  }

  leave(kinds) {
    for (const [kind, number] of kinds)
      this._leftOut.set(kind, (this._leftOut.get(kind) ?? 0) + number);
    this._redraw();
  }

  template() {
    if (!this._all.length && !this._leftOut.size) return null;
    const of = (...states) => this._all.filter((one) => states.includes(one.state));
    const [failed, done, open] = [of("failed"), of("added", "known"), of("sending", "waiting")];
    const known = of("known").length;
    return html`<section class="uploads" aria-label="Uploads">
      <p>
        ${done.length} of ${count(this._all.length, "file")} added${failed.length ? `, ${failed.length} not` : ""}${known ? ` (${known} there already)` : ""}
        ${open.length ? html`<progress max=${this._all.length} value=${this._progress()} aria-label="Uploads"></progress>` : null}
      </p>
      ${this._leftOut.size ? leftOut(this._leftOut) : null}
      <ul>${[...of("sending"), ...failed, ...done.filter((one) => one.notes.length)].slice(0, SHOWN).map(uploadRow)}</ul>
    </section>`;
  }

  _progress() {
    return this._all.reduce((sum, one) => sum + (one.state === "waiting" ? 0 : one.sent), 0);
  }

  async _next() {
    const one = this._all.find((upload) => upload.state === "waiting");
    if (!one || this._running >= AT_ONCE) return this._redraw();
    this._running += 1;
    one.state = "sending";
    this._redraw();
    await this._send(one);
    [one.sent, one.file] = [1, null];
    this._running -= 1;
    if (!this._running && !this._all.some((upload) => upload.state === "waiting")) this._ended();
    this._next();
  }

  _ended() {
    const failed = this._all.filter((one) => one.state === "failed").length;
    announce(failed ? `${count(failed, "file")} could not be added.` : "All files were added.");
    this._changed();
  }

  async _send(one) {
    for (let tries = 1; ; tries += 1) {
      try {
        const progress = (share) => {
          one.sent = share;
          this._redraw();
        };
        const { documents, isNew } = await post(one, progress);
        [one.state, one.notes] = [
          isNew ? "added" : "known",
          documents.flatMap((added) => added.notes),
        ];
        return;
      } catch (error) {
        if (!error.isPassing || tries === TRIES) {
          [one.state, one.error] = ["failed", error.message];
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfterS ?? tries)));
      }
    }
  }
}

const leftOut = (kinds) => html`<p class="quiet">
  Left out: ${[...kinds].map(([kind, number]) => `${number} ${kind}`).join(", ")}. To add such a file or folder, drop or choose it by itself.
</p>`;

const uploadRow = ({ path, sent, state, error, notes }) => html`<li>
  <bdi>${path}</bdi>
  ${state === "sending" ? html`<progress max="1" value=${sent} aria-label=${path}></progress>` : null}
  ${state === "sending" && sent === 1 ? html`<span class="quiet">It is being read …</span>` : null}
  ${error ? html`<span class="problem">${withCode(error)}</span>` : null}
  ${notes.map((note) => html`<span class="quiet">${note}</span>`)}
</li>`;

// A request whose progress can be seen; `fetch` cannot show it.
async function post({ file, path }, progress) {
  for (;;) {
    const key = currentKey();
    const answer = await new Promise((resolve, reject) => {
      const form = new FormData();
      form.append("file", file, path);
      const sending = new XMLHttpRequest();
      sending.open("POST", url("/documents"));
      Object.entries(authorization(key)).forEach((header) => sending.setRequestHeader(...header));
      sending.upload.addEventListener("progress", ({ loaded, total }) =>
        progress(total ? loaded / total : 0),
      );
      sending.addEventListener("load", () => resolve(sending));
      sending.addEventListener("error", () => reject(unreachable()));
      sending.send(form);
    });
    if (answer.status < 300)
      return { ...JSON.parse(answer.responseText), isNew: answer.status === 201 };
    const error = problemError(
      answer.status,
      answer.responseText,
      answer.getResponseHeader("Retry-After"),
    );
    if (answer.status !== 401) throw error;
    await askForKey(key, error.message);
  }
}
