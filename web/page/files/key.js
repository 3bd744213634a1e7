// The key of this session: asked for when the server wants one, gone with the tab.

import { html, render } from "./vendor/lit-html.js";

const NAME = "terzetto-key";
const SENDABLE = /^[!-~]+$/; // Nothing else may stand in a header.

let asking = null;

export function currentKey() {
  return sessionStorage.getItem(NAME) ?? "";
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  location.reload();
}

// Waits until there is another key than `refused`; many requests may wait at once.
export function askForKey(refused, reason) {
  if (currentKey() !== refused) return Promise.resolve();
  return ask(refused ? refusal(reason) : FIRST, false);
}

// Another key in place of one that works, unless the person goes back.
export function changeKey() {
  return ask(CHANGE, true);
}

const FIRST = {
  title: "This server asks for a key",
  words: html`Whoever runs it makes one for you: <code>terzetto keys add NAME</code>`,
};
const CHANGE = {
  title: "Use another key",
  words: html`A key with the scope <code>write</code> may run tasks and add documents; an <code>admin</code> may do all.`,
};
const refusal = (reason) => ({
  title: "The key was not accepted",
  words: `${reason} Copy the whole key again, or ask whoever runs the server for a new one.`,
});

function ask(why, mayGoBack) {
  asking ??= answered(why, mayGoBack).finally(() => (asking = null));
  return asking;
}

function answered(why, mayGoBack) {
  const dialog = document.getElementById("key");
  return new Promise((resolve) => {
    const show = (shown) => render(form(shown, keep, mayGoBack && (() => dialog.close())), dialog);
    const keep = (event) => {
      event.preventDefault();
      const key = dialog.querySelector("input").value.trim();
      if (!SENDABLE.test(key)) return show(refusal("It has characters that no key has."));
      sessionStorage.setItem(NAME, key);
      window.dispatchEvent(new Event("key"));
      dialog.close();
    };
    show(why);
    dialog.querySelector("input").value = "";
    dialog.oncancel = (event) => mayGoBack || event.preventDefault();
    dialog.onclose = resolve;
    dialog.showModal();
  });
}

const form = ({ title, words }, keep, goBack) => html`
  <form @submit=${keep}>
    <h2 id="key-title">${title}</h2>
    <p role="status">${words}</p>
    <label for="key-value">Key</label>
    <input id="key-value" type="password" autocomplete="off" required autofocus />
    <p class="quiet">It begins with <code>tz_</code>, and is kept in this tab until you close it.</p>
    <p class="row">
      <button class="main">Go on</button>
      ${goBack ? html`<button type="button" @click=${goBack}>Go back</button>` : null}
    </p>
  </form>
`;
