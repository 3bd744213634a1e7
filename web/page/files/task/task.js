// A task: its head, its tabs, and the scrubber that shows it at any moment of its past.

import { address, number } from "../address.js";
import { getJson } from "../api.js";
import { duration, line, usage, visible } from "../format.js";
import { announce, problem, state } from "../parts.js";
import { html } from "../vendor/lit-html.js";
import { actions } from "./actions.js";
import { Answer } from "./answer.js";
import { FINAL, runSeconds } from "./fold.js";
import { Log } from "./log.js";
import { Past } from "./past.js";
import { Plan } from "./plan.js";
import { scrubber } from "./scrubber.js";
import { Sources } from "./sources.js";
import { follow } from "./stream.js";
import { Timeline } from "./timeline.js";

const TABS = {
  answer: "Answer",
  plan: "Plan",
  timeline: "Timeline",
  sources: "Sources",
  log: "Log",
};
const FRAME_MS = 8;
const CLOCK_MS = 500;
const ADDRESS_MS = 150;

export function openTask(first, redraw) {
  const page = new TaskPage(first.parts[1], redraw);
  page.go(first);
  page.read();
  return page;
}

class TaskPage {
  constructor(id, redraw) {
    this.id = id;
    this.redraw = redraw;
    this.past = new Past();
    this.error = null;
    this._lost = null; // A sentence, while there is no connection.
    this._before = null; // The task that this one follows up.
    this._inbox = [];
    this._closing = new AbortController();
    this._isReading = false;
    this._heardAt = 0;
    this._tabs = {
      answer: new Answer(this),
      plan: new Plan(this),
      timeline: new Timeline(this),
      sources: new Sources(this),
      log: new Log(this),
    };
    this._clock = setInterval(() => !FINAL.has(this.past.now?.status) && redraw(), CLOCK_MS);
  }

  title = () => line(this.past.now?.task_description ?? "Task", 60);

  go({ parts, query }) {
    this.tab = parts[2] in TABS ? parts[2] : "answer";
    this.seq = number(query, "seq") || null;
    this.query = query;
  }

  close() {
    this._closing.abort();
    clearInterval(this._clock);
    clearTimeout(this._moving);
  }

  // Goes on reading where it stopped; a task that has ended may have been retried elsewhere.
  wake() {
    if (!this._isReading && !this.error) this.read();
  }

  async read() {
    if (this._isReading) return;
    [this._isReading, this.error] = [true, null];
    try {
      await follow(this.id, this._inbox.at(-1) ?? this.past.events.at(-1) ?? null, {
        take: (events) => this._take(events),
        tell: (sentence) => this._tell(sentence),
        signal: this._closing.signal,
      });
    } catch (error) {
      this.error = error;
    }
    this._isReading = false;
    this.redraw();
  }

  // --- events ----------------------------------------------------------------------------------------

  _take(events) {
    this._heardAt = performance.now();
    const isIdle = this._inbox.length === 0;
    this._inbox.push(...events);
    if (isIdle) requestAnimationFrame(() => this._fold());
  }

  // Folds what has come, for so long that the page can still be drawn in time.
  _fold() {
    const before = this.past.now?.status;
    const end = performance.now() + FRAME_MS;
    let done = 0;
    while (done < this._inbox.length && performance.now() < end) this.past.add(this._inbox[done++]);
    this._inbox.splice(0, done);
    if (this._inbox.length) requestAnimationFrame(() => this._fold());
    else this._folded(before);
    this.redraw();
  }

  _folded(before) {
    const { status, context_task_id: contextId } = this.past.now;
    if (before && before !== status)
      announce(`The task is ${status === "executing" ? "running" : status}.`);
    if (contextId && !this._before) this._loadBefore(contextId);
  }

  async _loadBefore(id) {
    this._before = { task_id: id, task_description: "an earlier task" };
    this._before = await getJson(`/tasks/${id}`).catch(() => this._before);
    this.redraw();
  }

  _tell(sentence) {
    if (sentence === this._lost) return;
    this._lost = sentence;
    this.redraw();
  }

  // --- what is shown ---------------------------------------------------------------------------------

  // The task as the page shows it: now, or as it was at the chosen event.
  get shown() {
    return this.isPast ? this.past.at(this.seq) : this.past.now;
  }

  get isPast() {
    return this.seq !== null && this.seq < this.past.events.length;
  }

  // The time up to which unfinished work has gone on, by the server's clock.
  get time() {
    const task = this.shown;
    const isLive = !this.isPast && !FINAL.has(task.status);
    const since = isLive ? performance.now() - this._heardAt : 0;
    return new Date(Date.parse(task.updated_at) + since).toISOString();
  }

  // Shows another moment. The address follows a little later: browsers refuse hundreds of changes.
  moveTo(seq) {
    this.seq = seq;
    clearTimeout(this._moving);
    this._moving = setTimeout(() => {
      const query = { step: this.query.get("step") ?? "", seq: seq ?? "" };
      history.replaceState(null, "", address(["tasks", this.id, this.tab], query));
    }, ADDRESS_MS);
    this.redraw();
  }

  at(tab, query = {}) {
    return address(["tasks", this.id, tab], { seq: this.isPast ? this.seq : "", ...query });
  }

  template() {
    const task = this.shown;
    if (!task) {
      const home = html`<p>Look at <a href="#/tasks">all tasks</a>, or <a href="#/">start one</a>.</p>`;
      return this.error
        ? html`<h1>Task</h1>${problem(this.error)}${home}`
        : html`<p class="quiet">Loading …</p>`;
    }
    return html`<div class="task">
      ${this._head(task)}
      <nav class="tabs" aria-label="Views of the task">${Object.keys(TABS).map((tab) => this._tabLink(tab, task))}</nav>
      ${problem(this.error)} ${this._lost ? html`<p class="note" role="status">${this._lost}</p>` : null}
      <section aria-label=${TABS[this.tab]}>${this._tabs[this.tab].template(task)}</section>
      ${scrubber(this, task)}
    </div>`;
  }

  drawn() {
    if (this.shown) this._tabs[this.tab].drawn?.(this.shown);
  }

  _head(task) {
    const whole = visible(task.task_description);
    const title = line(whole, 200);
    return html`<header>
      <h1 dir="auto">${title}</h1>
      ${title === whole.trim() ? null : html`<details><summary>The whole task</summary><p class="whole" dir="auto">${whole}</p></details>`}
      ${this._before ? html`<p class="quiet">Follows up <a href=${address(["tasks", this._before.task_id])}>${line(this._before.task_description)}</a></p>` : null}
      <div class="row facts-row"><p class="quiet">${this._facts(task)}</p>${actions(this)}</div>
    </header>`;
  }

  _facts(task) {
    const took = runSeconds(task, this.time);
    const facts = [
      state(task.status),
      took === null ? null : duration(took),
      task.run > 1 ? `run ${task.run}` : null,
      task.degraded ? "degraded" : null,
      task.usage ? usage(task.usage) : null,
    ];
    return facts.filter(Boolean).map((fact, index) => html`${index ? " · " : ""}${fact}`);
  }

  _tabLink(tab, task) {
    const counts = { sources: task.sources?.length, log: this.past.events.length };
    return html`<a href=${this.at(tab)} aria-current=${tab === this.tab ? "page" : "false"}
      >${TABS[tab]}${counts[tab] ? html` <span class="quiet">${counts[tab]}</span>` : null}</a>`;
  }
}
