// The log: every event, in a list that holds only the rows one can see.

import { address } from "../address.js";
import { duration, line } from "../format.js";
import { html, render } from "../vendor/lit-html.js";
import { FINAL, runSeconds } from "./fold.js";
import { kind } from "./plan.js";

const ROW = 30; // Pixels, as in task.css.
const BEYOND = 8; // Rows above and below the visible ones.

const WORDS = {
  task_created: "Task created",
  task_queued: "Task queued",
  task_started: "Task started",
  task_resumed: "Task went on",
  plan_created: "Plan made",
  step_started: "Step started",
  partial_output: "Text written",
  step_retrying: "Attempt failed",
  step_completed: "Step completed",
  step_failed: "Step failed",
  task_completed: "Task completed",
  task_failed: "Task failed",
  task_cancelled: "Task cancelled",
};

// The type of an event in words.
export function eventWords({ event_type: type }) {
  return WORDS[type] ?? type.replaceAll("_", " ");
}

export class Log {
  constructor(page) {
    this._page = page;
    this._box = document.createElement("div");
    this._box.className = "log";
    this._box.tabIndex = 0;
    this._box.setAttribute("role", "region");
    this._box.setAttribute("aria-label", "Events");
    this._list = document.createElement("ol");
    this._box.append(this._list);
    this._box.addEventListener("scroll", () => this._draw());
    this._box.addEventListener("keydown", this._pressed);
    this._shownSeq = null;
  }

  template() {
    const event = this._page.past.events[(this._page.seq ?? 0) - 1];
    return html`${this._box} ${event ? details(event) : html`<p class="quiet">Choose an event to read all of it. Its address can be shared.</p>`}`;
  }

  drawn() {
    const isLive = !FINAL.has(this._page.past.now.status);
    const isAtEnd = this._box.scrollTop + this._box.clientHeight >= this._list.offsetHeight - ROW;
    this._list.style.height = `${this._page.past.events.length * ROW}px`;
    const { seq } = this._page;
    if (seq !== null && seq !== this._shownSeq) this._scrollTo(seq);
    else if (seq === null && isLive && isAtEnd) this._box.scrollTop = this._list.offsetHeight;
    if (seq === null || seq <= this._page.past.events.length) this._shownSeq = seq; // Else it comes yet.
    this._draw();
  }

  _scrollTo(seq) {
    const top = (seq - 1) * ROW;
    const { scrollTop, clientHeight } = this._box;
    if (top < scrollTop || top + ROW > scrollTop + clientHeight)
      this._box.scrollTop = top - clientHeight / 2;
  }

  _draw() {
    const { events } = this._page.past;
    const from = Math.max(0, Math.floor(this._box.scrollTop / ROW) - BEYOND);
    const to = Math.ceil((this._box.scrollTop + this._box.clientHeight) / ROW) + BEYOND;
    render(
      events.slice(from, to).map((event) => this._row(event)),
      this._list,
    );
    [...this._list.children].forEach((row, index) => (row.style.top = `${(from + index) * ROW}px`));
  }

  _row(event) {
    const { events, now } = this._page.past;
    const { seq } = this._page;
    const since = runSeconds(now, event.timestamp);
    return html`<li aria-posinset=${event.seq} aria-setsize=${events.length} class=${seq !== null && event.seq > seq ? "later" : ""}>
      <a tabindex="-1" href=${address(["tasks", this._page.id, "log"], { seq: event.seq })} aria-current=${event.seq === seq ? "true" : "false"}
        ><span class="seq">${event.seq}</span> <span class="since">${since === null ? "" : duration(since)}</span> <span class="type">${eventWords(event)}</span>
        <span class="words" dir="auto">${summary(event.data)}</span></a>
    </li>`;
  }

  _pressed = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const most = this._page.past.events.length;
    const seq = Math.min(most, Math.max(1, (this._page.seq ?? (by > 0 ? 0 : most + 1)) + by));
    this._page.moveTo(seq);
  };
}

// What an event says, in one line.
export function summary(data) {
  const {
    step,
    step_id: id,
    attempt,
    content,
    error,
    reason,
    description,
    position,
    steps,
    task_description: task,
  } = data;
  const words = [
    id ? `${step ? kind(data) : "Step"} ${id}` : null,
    attempt > 1 ? `attempt ${attempt}` : null,
    content === undefined ? null : `“${line(content, 120)}”`,
    description,
    task,
    error ? error.message : null,
    reason,
    position ? `${position} ahead` : null,
    steps ? `${steps.length} steps` : null,
    data.delay_s ? `again in ${duration(data.delay_s)}` : null,
    data.duration_s === undefined ? null : duration(data.duration_s),
    data.sources ? `${data.sources.length} sources` : null,
  ];
  return line(words.filter(Boolean).join(" · "), 200);
}

const details = (event) => html`<section class="details" aria-labelledby="event">
  <h2 id="event">Event ${event.seq}: ${eventWords(event)}</h2>
  <pre tabindex="0" role="region" aria-label="The whole event">${JSON.stringify(event, null, 2)}</pre>
</section>`;
