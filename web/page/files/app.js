// The frame of the page: which view an address shows, and when it is drawn.
//
// A view is { key, title, template, go, close, renew }: `go` takes another address with the same key, so
// that a task's stream goes on while one looks through its tabs. `renew` reads again what another key of
// the server may see.

import { parse } from "./address.js";
import { currentKey, forgetKey } from "./key.js";
import { html, render } from "./vendor/lit-html.js";
import { openAgents } from "./views/agents.js";
import { openDocument } from "./views/document.js";
import { openHome } from "./views/home.js";
import { openLibrary } from "./views/library.js";
import { openTasks } from "./views/tasks.js";
import { openTask } from "./task/task.js";

const main = document.getElementById("main");
let view = null;
let planned = false;

function viewFor({ parts: [first, id] }) {
  switch (first) {
    case undefined:
      return { key: "home", open: openHome };
    case "tasks":
      return id ? { key: `task ${id}`, open: openTask } : { key: "tasks", open: openTasks };
    case "documents":
      return id
        ? { key: `document ${id}`, open: openDocument }
        : { key: "library", open: openLibrary };
    case "agents":
      return { key: "agents", open: openAgents };
    default:
      return { key: "nothing", open: openNothing };
  }
}

// Draws the view in the next frame, however often it is called before.
function redraw() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    document.title = `${view.title()} · Terzetto`;
    render(view.template(), main);
    view.drawn?.();
  });
}

function go() {
  const address = parse(location.hash);
  const { key, open } = viewFor(address);
  if (view?.key === key) {
    view.go?.(address);
  } else {
    const isFirst = view === null;
    view?.close?.();
    render(null, main);
    view = Object.assign(open(address, redraw), { key });
    window.scrollTo(0, 0);
    if (!isFirst) main.focus({ preventScroll: true });
  }
  markPage(address.parts[0]);
  redraw();
}

function markPage(name) {
  for (const link of document.querySelectorAll(".top nav a")) {
    const isHere = link.hash === `#/${name}`;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function openNothing() {
  return {
    title: () => "Not found",
    template: () => html`<h1>There is nothing here</h1>
      <p>This address names no page. <a href="#/">Start a task</a>, or look at <a href="#/tasks">all tasks</a>.</p>`,
  };
}

function showForget() {
  if (!currentKey() || document.getElementById("forget")) return;
  const button = document.createElement("button");
  button.textContent = "Forget key";
  button.className = "plain";
  button.id = "forget";
  button.addEventListener("click", forgetKey);
  document.querySelector(".top nav").append(button);
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // Its fragment would be an address of the page.
  main.focus();
});
window.addEventListener("hashchange", go);
document.addEventListener("visibilitychange", () => !document.hidden && view.wake?.());
window.addEventListener("key", () => {
  showForget();
  view.renew?.();
});
showForget();
go();
