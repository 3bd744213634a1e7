// Citations in a report: [1] becomes a link to the place in its document, and shows the excerpt beside
// it under the mouse or the keyboard's focus.

import { placeAddress } from "../address.js";
import { line, visible } from "../format.js";

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;

export class Citations {
  constructor(node) {
    this._node = node;
    this._sources = new Map();
    this._tip = tip();
    for (const name of ["mouseover", "focusin"]) node.addEventListener(name, this._entered);
    for (const name of ["mouseout", "focusout"]) node.addEventListener(name, this._left);
    node.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  // The nodes of a text, its citations among them.
  inline = (text) =>
    text
      .split(/(\[\d{1,4}\])/)
      .filter(Boolean)
      .map((part) => {
        const number = /^\[(\d+)\]$/.exec(part)?.[1];
        return number ? this._citation(Number(number)) : part;
      });

  // The sources are known at the end only.
  cite(sources) {
    if (sources === this._cited) return;
    this._cited = sources;
    this._sources = new Map((sources ?? []).map((source) => [source.n, source]));
    this._linkList();
    this._node.querySelectorAll("a.cite").forEach((link) => this._lead(link));
  }

  // The entries of the list of sources at the end of a report are links, too.
  _linkList() {
    const list = this._node.querySelector("ol:last-child");
    if (!this._cited || list?.children.length !== this._sources.size) return;
    [...list.children].forEach((item, index) => {
      if (item.querySelector("a")) return;
      const link = this._citation(list.start + index);
      link.classList.add("entry");
      link.replaceChildren(...item.childNodes);
      item.append(link);
    });
  }

  close() {
    this._tip.remove();
  }

  _citation(number) {
    const link = document.createElement("a");
    link.className = "cite";
    link.dataset.n = number;
    link.textContent = `[${number}]`;
    this._lead(link);
    return link;
  }

  _lead(link) {
    const source = this._sources.get(Number(link.dataset.n));
    if (!source) return link.removeAttribute("href");
    if (isInLibrary(source)) link.href = placeAddress(source);
    else link.tabIndex = 0;
    if (!link.matches(".entry"))
      link.setAttribute("aria-label", `Source ${source.n}: ${line(source.title)}`);
  }

  _entered = ({ target }) => {
    const link = target.closest("a.cite");
    const source = link && this._sources.get(Number(link.dataset.n));
    if (!source) return;
    clearTimeout(this._leaving);
    showTip(this._node, this._tip, link, source);
  };

  _left = ({ target }) => {
    if (!target.closest("a.cite, .excerpt")) return;
    this._leaving = setTimeout(() => this.close(), 150);
  };
}

// Whether a source is a document, and not what a tool or an agent said.
export function isInLibrary({ document_id: id, end, start }) {
  return UUID.test(id) && (end === undefined || end >= start);
}

function tip() {
  const node = document.createElement("div");
  node.className = "excerpt";
  node.setAttribute("role", "tooltip");
  node.id = "excerpt";
  return node;
}

function showTip(around, node, link, { title, section, text }) {
  const head = document.createElement("strong");
  head.append(line(section ? `${title} › ${section}` : title));
  const quote = document.createElement("p");
  quote.dir = "auto";
  quote.append(visible(text.length > 700 ? `${text.slice(0, 700)} …` : text));
  node.replaceChildren(head, quote);
  around.append(node);
  link.setAttribute("aria-describedby", node.id);
  const box = around.getBoundingClientRect();
  const at = link.getBoundingClientRect();
  const room = Math.max(0, box.width - node.offsetWidth);
  node.style.left = `${Math.min(Math.max(0, at.left - box.left), room)}px`;
  node.style.top = `${at.bottom - box.top + 6}px`;
}
