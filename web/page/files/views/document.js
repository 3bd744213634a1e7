// A document: what was read from it, with the place that a citation names.

import { number } from "../address.js";
import { getJson, request } from "../api.js";
import { count, day, line, mediaKind, size, visible } from "../format.js";
import { confirm, problem } from "../parts.js";
import { html } from "../vendor/lit-html.js";

const PIECE = 8_000; // Characters that are laid out at once.

export function openDocument(first, redraw) {
  const id = first.parts[1];
  const body = document.createElement("div");
  body.className = "text";
  let shown = null;
  let text = "";
  let place = [null, null];
  let error = null;

  const mark = ({ query }) => {
    place = [number(query, "start"), number(query, "end")];
    showText(body, text, place);
  };
  const load = async () => {
    try {
      shown = await getJson(`/documents/${encodeURIComponent(id)}`);
      text = await (await request(`/documents/${encodeURIComponent(id)}/text`)).text();
      mark(first);
    } catch (caught) {
      error = caught;
    }
    redraw();
    requestAnimationFrame(() => body.querySelector("mark")?.scrollIntoView({ block: "center" }));
  };
  const remove = async () => {
    if (
      !(await confirm(
        "Remove this document?",
        `“${shown.title}” is deleted with its text.`,
        "Remove",
      ))
    )
      return;
    try {
      await request(`/documents/${id}`, { method: "DELETE" });
      location.hash = "#/documents";
    } catch (caught) {
      error = caught;
      redraw();
    }
  };
  load();
  return {
    title: () => line(shown?.title ?? "Document", 60),
    go(next) {
      mark(next);
      body.querySelector("mark")?.scrollIntoView({ block: "center" });
    },
    template: () => html`${problem(error)}
      ${error ? html`<p><a href="#/documents">Show the library</a></p>` : null}
      ${shown ? head(shown, remove) : null} ${shown ? body : null}`,
  };
}

const head = (shown, remove) => html`<h1 dir="auto">${visible(shown.title)}</h1>
  <p class="quiet">
    ${shown.name ? html`<span class="path" dir="auto">${line(shown.name)}</span>` : null}
    ${mediaKind(shown.media_type)} · ${size(shown.bytes)} · ${count(shown.passages, "passage")} · ${day(shown.created_at)}
    ${shown.sample ? "· of the sample library" : html`<button class="plain" @click=${remove}>Remove</button>`}
  </p>
  ${shown.notes.map((note) => html`<p class="note">${note}</p>`)}`;

// The text as it is, in pieces that the browser lays out when they are near.
function showText(body, text, [start, end]) {
  body.replaceChildren();
  if (!text) return;
  const from = start === null ? 0 : unitsOf(text, start);
  const to = end === null ? from : unitsOf(text, end);
  for (const [begin, stop] of pieces(text)) {
    const piece = document.createElement("div");
    piece.dir = "auto";
    const [a, b] = [clamp(from, begin, stop), clamp(to, begin, stop)];
    piece.append(visible(text.slice(begin, a)));
    if (b > a) {
      const marked = document.createElement("mark");
      marked.append(visible(text.slice(a, b)));
      piece.append(marked);
    }
    piece.append(visible(text.slice(b, stop)));
    body.append(piece);
  }
}

function* pieces(text) {
  for (let begin = 0; begin < text.length;) {
    const line = text.indexOf("\n", begin + PIECE);
    const stop =
      line < 0 || line > begin + 8 * PIECE ? Math.min(begin + 8 * PIECE, text.length) : line + 1;
    yield [begin, stop];
    begin = stop;
  }
}

// The server counts characters; JavaScript counts UTF-16 units, two for some of them.
function unitsOf(text, characters) {
  let units = 0;
  for (let left = characters; left > 0 && units < text.length; left -= 1) {
    units += text.codePointAt(units) > 0xffff ? 2 : 1;
  }
  return units;
}

function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
