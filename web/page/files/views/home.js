// The start: a box for a task, the state of the library, and the latest tasks.

import { getJson } from "../api.js";
import { count } from "../format.js";
import { problem, repeat, withCode } from "../parts.js";
import { TaskBox } from "../task/box.js";
import { html } from "../vendor/lit-html.js";
import { taskRows } from "./tasks.js";

// Of the sample library, for somebody who wants to see what happens.
const EXAMPLES = [
  "Compare threads and async I/O for a web server, then recommend one",
  "Explain the actor model and how supervisors handle crashes",
  "What does write-ahead logging do, and when does it help?",
];

export function openHome(address, redraw) {
  const box = new TaskBox(redraw, { label: "What do you want to know?", isHeading: true });
  let tasks = null;
  let library = null;
  let error = null;

  const look = async () => {
    try {
      const [listed, health] = await Promise.all([getJson("/tasks?limit=6"), getJson("/health")]);
      [tasks, library, error] = [listed.tasks, health.library, null];
    } catch (caught) {
      error = caught;
    }
    redraw();
  };
  let isFocused = false;
  return {
    title: () => "Start a task",
    close: repeat(look, 5000),
    template: () => html`${box.template()} ${library ? shelf(library) : null} ${box.hasFailed ? null : problem(error)}
      ${tasks?.length ? latest(tasks) : null} ${tasks?.length === 0 ? examples(box) : null}`,
    drawn() {
      if (!isFocused) document.querySelector("textarea")?.focus({ preventScroll: true });
      isFocused = true;
    },
  };
}

function shelf({ documents, problem: fault }) {
  if (fault) return html`<p class="problem">${withCode(fault)}</p>`;
  if (documents) {
    const words = count(documents, "document");
    return html`<p class="quiet">Answers come from your library: <a href="#/documents">${words}</a>.</p>`;
  }
  return html`<p class="quiet">
    You have no documents yet, so answers come from a small sample library.
    <a href="#/documents">Add your own</a>: drop a file or a folder there.
  </p>`;
}

const latest = (tasks) => html`<section aria-labelledby="latest">
  <h2 id="latest">Latest tasks</h2>
  ${taskRows(tasks)}
  <p><a href="#/tasks">All tasks</a></p>
</section>`;

const examples = (box) => html`<section aria-labelledby="examples">
  <h2 id="examples">Try one</h2>
  <ul class="rows">${EXAMPLES.map((task) => html`<li><button class="plain" @click=${() => box.fill(task)}>${task}</button></li>`)}</ul>
</section>`;
