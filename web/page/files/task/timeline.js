// The timeline: what each step did when, attempt by attempt, and what it waited for.

import { count, duration, line, secondsBetween, usage } from "../format.js";
import { html, svg } from "../vendor/lit-html.js";
import { workSeconds } from "./fold.js";
import { kind } from "./plan.js";
import { timeScale } from "./scale.js";

const LEGEND = {
  completed: "work",
  failed: "a failed attempt",
  stopped: "stopped",
  wait: "waiting",
};

export class Timeline {
  constructor(page) {
    this._page = page;
  }

  template(task) {
    if (!task.runs.length)
      return html`<p>Nothing has happened yet. The timeline begins when the task is started.</p>`;
    const end = this._page.time;
    const scale = timeScale(task.runs, end);
    return html`<ul class="gantt">
        <li class="axis" aria-hidden="true"><span></span>${axis(scale)}<span></span></li>
        ${queueRow(task, scale, end)} ${task.steps.map((step) => this._row(step, task, scale, end))}
      </ul>
      <p class="legend quiet">${Object.entries(LEGEND).map(
        ([name, words]) =>
          html`<span><svg width="26" height="12" aria-hidden="true">${sample(name)}</svg> ${words}</span> `,
      )}${task.marks.length ? html`<span>The vertical line marks where the task continued after a restart or “Retry”.</span>` : null}</p>`;
  }

  _row(step, task, scale, end) {
    const waited = waits(step, task);
    const took = step.started_at ? duration(workSeconds(step, end)) : step.status;
    const facts = [
      took,
      step.attempts > 1 ? count(step.attempts, "attempt") : null,
      step.usage ? usage(step.usage) : null,
    ];
    return html`<li>
      <a href=${this._page.at("plan", { step: step.step_id })} title=${line(step.description)}>${kind(step)} <span class="quiet">${step.step_id}</span></a>
      <svg class="bars" height="28" width="100%" aria-hidden="true">
        ${marks(task, scale)}
        ${waited.map(({ from, to }) => wait(scale.x(from), scale.x(to ?? end)))}
        ${step.history.map((attempt) => bar(attempt, scale, end))} ${crosses(step, scale)}
      </svg>
      <span class="quiet">${facts.filter(Boolean).join(" · ")}</span>
    </li>`;
  }
}

// From the time a step could start to its start, and from each failed attempt to the next.
function waits(step, task) {
  const found = [];
  const ready = step.depends_on.map(
    (id) => task.steps.find((other) => other.step_id === id)?.finished_at,
  );
  const first = step.history[0];
  if (ready.length && ready.every(Boolean) && task.runs.at(-1).started_at) {
    const from = ready.reduce((one, other) => (one > other ? one : other));
    if (first || step.status === "pending") found.push({ from, to: first?.started_at ?? null });
  }
  step.history.forEach((attempt, index) => {
    const next = step.history[index + 1];
    if (attempt.ended_at && (next || step.status === "retrying")) {
      found.push({ from: attempt.ended_at, to: next?.started_at ?? null });
    }
  });
  return found;
}

function queueRow(task, scale, end) {
  const total = task.runs.reduce(
    (sum, run) => sum + secondsBetween(run.queued_at, run.started_at ?? run.ended_at ?? end),
    0,
  );
  return html`<li>
    <span>Queue</span>
    <svg class="bars" height="28" width="100%" aria-hidden="true">
      ${marks(task, scale)} ${task.runs.map((run) => wait(scale.x(run.queued_at), scale.x(run.started_at ?? run.ended_at ?? end)))}
    </svg>
    <span class="quiet">${duration(total)}</span>
  </li>`;
}

function bar({ attempt, started_at: from, ended_at: to, outcome, error }, scale, end) {
  const [left, right] = [scale.x(from), scale.x(to ?? end)];
  const title = `Attempt ${attempt}, ${outcome}: ${duration(secondsBetween(from, to ?? end))}${error ? `. ${error.message}` : ""}`;
  return svg`<rect class=${outcome} x="${left}%" y="7" width="${Math.max(right - left, 0.2)}%" height="14" rx="2"><title>${title}</title></rect>`;
}

function crosses(step, scale) {
  const failed = step.history.filter(({ outcome }) => outcome === "failed");
  return failed.map(
    ({ ended_at: at }) => svg`<text class="cross" x="${scale.x(at)}%" y="19">✕</text>`,
  );
}

function wait(left, right) {
  return svg`<line class="wait" x1="${left}%" x2="${right}%" y1="14" y2="14" />`;
}

function marks(task, scale) {
  const cut = scale.breaks.map(
    ({ x }) => svg`<line class="break" x1="${x}%" x2="${x}%" y1="0" y2="28" />`,
  );
  return [
    ...cut,
    ...task.marks.map(
      ({ at }) =>
        svg`<line class="mark" x1="${scale.x(at)}%" x2="${scale.x(at)}%" y1="0" y2="28" />`,
    ),
  ];
}

function axis({ ticks, breaks }) {
  return html`<svg class="bars" height="22" width="100%">
    ${ticks.map(({ x, seconds }) => svg`<text x="${x}%" y="14">${seconds ? duration(seconds) : "0"}</text>`)}
    ${breaks.map(({ x, seconds }) => svg`<text class="middle" x="${x}%" y="14">//<title>${duration(seconds)} between two runs</title></text>`)}
  </svg>`;
}

function sample(name) {
  if (name === "wait") return svg`<line class="wait" x1="0" x2="26" y1="6" y2="6" />`;
  return svg`<rect class=${name} width="26" height="12" rx="2" />`;
}
