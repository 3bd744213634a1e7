// The sources of the report, as they are cited.

import { placeAddress } from "../address.js";
import { line, visible } from "../format.js";
import { isInLibrary } from "../text/citations.js";
import { html } from "../vendor/lit-html.js";
import { FINAL } from "./fold.js";

export class Sources {
  template(task) {
    if (task.sources?.length) return html`<ol class="passages">${task.sources.map(source)}</ol>`;
    if (task.sources)
      return html`<p>The report cites nothing. <a href="#/documents">Add documents</a> that cover it, and ask again.</p>`;
    const found = task.steps.flatMap((step) => step.result?.documents ?? []);
    return html`<p>${FINAL.has(task.status) ? "Sources are listed once a report is complete." : "The sources are listed when the report is complete."}</p>
      ${found.length ? html`<p>Found so far:</p><ul>${[...new Set(found)].map((title) => html`<li dir="auto">${line(title)}</li>`)}</ul>` : null}`;
  }
}

const source = (one) => html`<li value=${one.n} id=${`source-${one.n}`}>
  ${isInLibrary(one) ? html`<a href=${placeAddress(one)} dir="auto">${title(one)}</a>` : html`<strong dir="auto">${title(one)}</strong>`}
  <blockquote dir="auto">${visible(one.text)}</blockquote>
</li>`;

function title({ title, section }) {
  return line(section ? `${title} › ${section}` : title);
}
