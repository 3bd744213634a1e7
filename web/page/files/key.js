// The key of this session: asked for when the server wants one, gone with the tab.

import { html, render } from "./vendor/lit-html.js";

const NAME = "terzetto-key";

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
  asking ??= ask(refused, reason).finally(() => (asking = null));
  return asking;
}

function ask(refused, reason) {
  const dialog = document.getElementById("key");
  return new Promise((resolve) => {
    const keep = (event) => {
      event.preventDefault();
      sessionStorage.setItem(NAME, dialog.querySelector("input").value.trim());
      dialog.close();
      resolve();
    };
    render(form(refused, reason, keep), dialog);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
}

const form = (refused, reason, keep) => html`
  <form @submit=${keep}>
    <h2 id="key-title">This server asks for a key</h2>
    <p>
      ${refused ? `The key was not accepted. ${reason}` : "Whoever runs it makes one for you:"}
      ${refused ? null : html`<code>terzetto keys add NAME</code>`}
    </p>
    <label for="key-value">Key</label>
    <input id="key-value" type="password" autocomplete="off" required autofocus />
    <p class="quiet">It is kept in this tab until you close it.</p>
    <button class="main">Go on</button>
  </form>
`;
