// All tasks, newest first, by state.

import { address } from "../address.js";
import { getJson } from "../api.js";
import { ago, line } from "../format.js";
import { problem, repeat, state } from "../parts.js";
import { html } from "../vendor/lit-html.js";

const FILTERS = {
  "": "All",
  executing: "Running",
  queued: "Queued",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  pending: "Not started",
};

const PAGE = 50;

export function openTasks(first, redraw) {
  let status = "";
  let tasks = null;
  let cursor = null;
  let error = null;

  const load = async (from) => {
    const query = new URLSearchParams({ limit: PAGE });
    if (status) query.set("status", status);
    if (from) query.set("cursor", from);
    return getJson(`/tasks?${query}`);
  };
  const attempt = async (get) => {
    try {
      await get();
      error = null;
    } catch (caught) {
      error = caught;
    }
    redraw();
  };
  const look = () =>
    attempt(async () => {
      const asked = status;
      const page = await load(null);
      if (asked !== status) return;
      const known = new Set(page.tasks.map((task) => task.task_id));
      const older = (tasks ?? []).slice(PAGE).filter((task) => !known.has(task.task_id));
      if (!older.length) cursor = page.next_cursor;
      tasks = [...page.tasks, ...older];
    });
  const more = () =>
    attempt(async () => {
      const page = await load(cursor);
      [tasks, cursor] = [[...tasks, ...page.tasks], page.next_cursor];
    });
  const go = ({ query }) => {
    const asked = query.get("status") ?? "";
    status = Object.hasOwn(FILTERS, asked) ? asked : "";
    [tasks, cursor] = [null, null];
  };

  go(first);
  return {
    title: () => "Tasks",
    close: repeat(look, 4000),
    go(next) {
      go(next);
      look();
    },
    renew() {
      [tasks, cursor] = [null, null];
      look();
    },
    template: () => html`<h1>Tasks</h1>
      <nav class="filters" aria-label="Filter by state">${Object.keys(FILTERS).map((one) => filter(one, status))}</nav>
      ${problem(error)} ${tasks?.length ? taskRows(tasks) : null} ${tasks?.length === 0 ? nothing(status) : null}
      ${cursor ? html`<p><button @click=${more}>Show older tasks</button></p>` : null}`,
  };
}

const filter = (one, chosen) => html`<a href=${address(["tasks"], { status: one })}
  aria-current=${one === chosen ? "page" : "false"}>${FILTERS[one]}</a>`;

function nothing(status) {
  if (status) return html`<p>No task is in this state. <a href="#/tasks">Show all tasks</a>.</p>`;
  return html`<p>There are no tasks yet. <a href="#/">Start one</a>.</p>`;
}

export const taskRows = (tasks) => html`<ul class="rows">
  ${tasks.map(
    (task) => html`<li>
      <a href=${address(["tasks", task.task_id])} dir="auto">${line(task.task_description)}</a>
      <span class="quiet">${state(task.status)}${task.degraded ? ", degraded" : ""} · ${ago(task.created_at)}</span>
    </li>`,
  )}
</ul>`;
