// Small pieces that several views show.

import { changeKey } from "./key.js";
import { html } from "./vendor/lit-html.js";

const MARKS = {
  pending: "○",
  queued: "◔",
  executing: "◐",
  running: "◐",
  retrying: "↻",
  completed: "●",
  failed: "✕",
  cancelled: "⊘",
};

const WORDS = { executing: "running" };
const ANNOUNCED_MS = 5_000;

let forgetting = null;

// A state as a mark and a word, so that it never hangs on a colour alone.
export function state(status) {
  const word = WORDS[status] ?? status;
  return html`<span class="state ${status}"><span aria-hidden="true">${MARKS[status]}</span> ${word}</span>`;
}

export function problem(error) {
  if (!error) return null;
  const other = html`<button class="plain" @click=${changeKey}>Use another key</button>`;
  return html`<p class="problem" role="alert">${withCode(error.message)} ${error.code === "forbidden" ? other : null}</p>`;
}

// A sentence whose commands stand between backticks.
export const withCode = (sentence) =>
  sentence.split(/`([^`]+)`/).map((part, index) => (index % 2 ? html`<code>${part}</code>` : part));

// Says a sentence to screen readers.
export function announce(sentence) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = sentence;
  clearTimeout(forgetting); // What is not true any more must not be read later.
  forgetting = setTimeout(() => (announcer.textContent = ""), ANNOUNCED_MS);
}

// Asks before something that cannot be undone.
export function confirm(title, sentence, verb) {
  const dialog = document.getElementById("question");
  const button = (text, value) =>
    Object.assign(document.createElement("button"), { textContent: text, value });
  const heading = Object.assign(document.createElement("h2"), {
    id: "question-title",
    textContent: title,
  });
  const words = Object.assign(document.createElement("p"), { textContent: sentence });
  const row = document.createElement("p");
  row.append(button(verb, "yes"), " ", button("Keep it", "no"));
  dialog.replaceChildren(heading, words, row);
  return new Promise((resolve) => {
    row.addEventListener("click", ({ target }) => target.value && dialog.close(target.value));
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
    row.lastElementChild.focus();
  });
}

// Calls `look` now and then again and again while the tab is visible; returns what ends it.
export function repeat(look, milliseconds) {
  let timer = null;
  let isOver = false;
  const again = async () => {
    if (!document.hidden) await look();
    if (!isOver) timer = setTimeout(again, milliseconds);
  };
  again();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
