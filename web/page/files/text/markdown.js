// Markdown to nodes, block by block while it streams.
//
// Rule: texts become text nodes. HTML is shown as written, images are links, and links lead only to
// web and mail addresses, and to the library where a report says how to add documents to it.

import { visible } from "../format.js";
import { Lexer } from "../vendor/marked.js";

const LONGEST_INLINE = 4_000; // The time for emphasis grows with the square of the length.
const LONGEST_LIST = 40; // Items.
const DEEPEST = 40; // Blocks in one another; browsers are slow with more.
const STEP = 2_000; // Characters that are added at once,
const UPDATE_MS = 10; // and how long they are, so that the page can still be drawn in time.

const NESTED = new RegExp(`^[ \\t]*(?:(?:>|[-*+]|\\d{1,9}[.)])[ \\t]*){${DEEPEST}}`, "m"); // In one line.

const INGEST = "terzetto ingest PATH"; // In actors/tasks/report.py and agents/extractive/report.py.

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

// Shows a growing text in `node`. `inline` makes the nodes of a plain text.
export class MarkdownView {
  constructor(node, inline) {
    this._node = node;
    this._inline = inline;
    this._text = "";
    this._blocks = []; // {start, raw, node}
  }

  // Shows more of `text`, or all of another one; whether there is still more to show.
  update(text) {
    if (!text.startsWith(this._text)) this._goBack(text);
    const end = performance.now() + UPDATE_MS;
    do this._add(text);
    while (this._text.length < text.length && performance.now() < end);
    return this._text.length < text.length;
  }

  _add(text) {
    this._text = text.slice(0, this._text.length + STEP);
    // Text that follows may change the last block, and the one before it across a blank line.
    const kept = Math.max(0, this._blocks.length - 2);
    let start = this._blocks[kept]?.start ?? 0;
    const tokens = lex(this._text.slice(start));
    tokens.forEach((token, index) => {
      const old = this._blocks[kept + index];
      if (old?.raw === token.raw) old.start = start; // A block before it may have grown.
      else this._put(kept + index, this._made(token, start));
      start += token.raw.length;
    });
    this._keep(kept + tokens.length);
  }

  // Keeps the blocks with which the other text begins, too.
  _goBack(text) {
    const isBeginning = this._text.startsWith(text);
    const isKept = ({ start, raw }) => isBeginning && start + raw.length <= text.length;
    this._keep(this._blocks.findLastIndex(isKept) + 1);
    this._text = this._blocks.map(({ raw }) => raw).join("");
  }

  _made(token, start) {
    return { start, raw: token.raw, node: blockNode(token, this._inline) };
  }

  _put(index, block) {
    const old = this._blocks[index];
    if (old) old.node.replaceWith(block.node);
    else this._node.append(block.node);
    this._blocks[index] = block;
  }

  _keep(count) {
    for (const { node } of this._blocks.splice(count)) node.remove();
  }
}

// The blocks of a text. A part that cannot be read, such as a thousand quotes in one another, is shown
// as it is, and the paragraphs around it are not.
function lex(text) {
  const tokens = blocks(text);
  if (tokens) return tokens.flatMap(shortLists);
  const parts = text.split(/(?<=\n\n)(?!\n)/);
  return parts.flatMap((part) => blocks(part) ?? [{ type: "plain", raw: part }]);
}

// A long list as several, so that the part of it that is read again for each new item stays small.
function shortLists(token) {
  if (token.type !== "list" || token.items.length <= LONGEST_LIST) return [token];
  const first = token.items
    .slice(0, LONGEST_LIST)
    .map(({ raw }) => raw)
    .join("");
  if (!token.raw.startsWith(first)) return [token];
  return [
    ...(blocks(first) ?? []),
    ...(blocks(token.raw.slice(first.length)) ?? []).flatMap(shortLists),
  ];
}

function blocks(text) {
  if (NESTED.test(text)) return null; // The lexer would fill the stack, and take its time.
  const lexer = new Lexer();
  const tokens = [];
  try {
    lexer.blockTokens(text, tokens);
    lexer.tokens.links = {}; // A definition that comes later may not change what is shown already.
    for (const { src, tokens: inside } of lexer.inlineQueue) {
      if (src.length > LONGEST_INLINE) inside.push({ type: "text", raw: src, text: src });
      else lexer.inlineTokens(src, inside);
    }
  } catch (error) {
    if (error instanceof RangeError) return null; // The stack is full.
    throw error;
  }
  const isWhole = tokens.reduce((sum, token) => sum + token.raw.length, 0) === text.length;
  return isWhole && !tokens.some((token) => isDeep(token, DEEPEST)) ? tokens : null;
}

function isDeep({ tokens = [], items = [] }, most) {
  return most === 0 || [...tokens, ...items].some((token) => isDeep(token, most - 1));
}

// --- blocks ------------------------------------------------------------------------------------------

function blockNode(token, inline) {
  switch (token.type) {
    case "space":
      return document.createComment("");
    case "heading":
      return element(`h${Math.min(token.depth + 1, 6)}`, inlineNodes(token.tokens, inline));
    case "paragraph":
      return element("p", inlineNodes(token.tokens, inline));
    case "text":
      return element(
        "span",
        token.tokens ? inlineNodes(token.tokens, inline) : inline(plain(token.text)),
      );
    case "list":
      return listNode(token, inline);
    case "blockquote":
      return element("blockquote", blockNodes(token.tokens, inline));
    case "code":
      return scrolling(element("pre", [element("code", [visible(token.text)])]), "Code");
    case "table":
      return scrolling(tableNode(token, inline), "Table");
    case "hr":
      return document.createElement("hr");
    default:
      return element("p", [visible(token.raw)]);
  }
}

function blockNodes(tokens, inline) {
  return tokens.map((token) => blockNode(token, inline));
}

function listNode({ ordered, start, items }, inline) {
  const list = document.createElement(ordered ? "ol" : "ul");
  if (ordered && start !== 1) list.start = start;
  for (const item of items) {
    const box = item.task ? [item.checked ? "☑ " : "☐ "] : [];
    const inside = item.tokens.filter((token) => token.type !== "checkbox");
    list.append(element("li", [...box, ...blockNodes(inside, inline)]));
  }
  return list;
}

function tableNode({ header, rows }, inline) {
  const row = (cells, tag) =>
    element(
      "tr",
      cells.map((cell) => element(tag, inlineNodes(cell.tokens, inline))),
    );
  const head = element("thead", [row(header, "th")]);
  return element("table", [
    head,
    element(
      "tbody",
      rows.map((cells) => row(cells, "td")),
    ),
  ]);
}

// Wide content scrolls by itself, by keyboard too.
function scrolling(node, label) {
  const box = element("div", [node]);
  box.className = "wide";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", label);
  return box;
}

// --- inline ------------------------------------------------------------------------------------------

function inlineNodes(tokens, inline) {
  return tokens.flatMap((token) => inlineNode(token, inline));
}

function inlineNode(token, inline) {
  switch (token.type) {
    case "text":
      return token.tokens ? inlineNodes(token.tokens, inline) : inline(plain(token.text));
    case "escape":
      return [visible(token.text)];
    case "strong":
    case "em":
    case "del":
      return [element(token.type, inlineNodes(token.tokens, inline))];
    case "codespan":
      return [token.text === INGEST ? libraryLink() : element("code", [plain(token.text)])];
    case "br":
      return [document.createElement("br")];
    case "link":
      return [linkNode(token.href, inlineNodes(token.tokens, inline), token.raw)];
    case "image":
      return [linkNode(token.href, [visible(token.text || "image")], token.raw)];
    default:
      return [visible(token.raw)];
  }
}

function libraryLink() {
  const link = element("a", ["the Library page"]);
  link.href = "#/documents";
  return link;
}

function linkNode(href, inside, raw) {
  const target = URL.canParse(href) ? new URL(href) : null;
  if (!target || !["http:", "https:", "mailto:"].includes(target.protocol)) {
    return element("span", [visible(raw)]);
  }
  const link = element("a", inside);
  link.href = target.href;
  link.rel = "noopener noreferrer nofollow";
  link.target = "_blank";
  return link;
}

function element(name, inside) {
  const node = document.createElement(name);
  if (/^(p|li|h\d|td|th|blockquote)$/.test(name)) node.dir = "auto";
  node.append(...inside);
  return node;
}

function plain(text) {
  const decoded = text.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));/gi,
    (whole, decimal, hex, name) => {
      if (name) return ENTITIES[name] ?? whole;
      const code = decimal ? Number(decimal) : parseInt(hex, 16);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
  return visible(decoded);
}
