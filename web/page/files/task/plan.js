// The plan as a graph: a column for each layer, and lines along which results flow.

import { count, duration, secondsBetween, usage, visible } from "../format.js";
import { state, withCode } from "../parts.js";
import { html } from "../vendor/lit-html.js";
import { workSeconds } from "./fold.js";

const SVG = "http://www.w3.org/2000/svg";
const KINDS = {
  analysis: "Analysis",
  retrieval: "Retrieval",
  synthesis: "Synthesis",
  writing: "Writing",
};

export function kind(step) {
  return KINDS[step.step] ?? step.step;
}

export class Plan {
  constructor(page) {
    this._page = page;
    this._lines = document.createElementNS(SVG, "svg");
    this._lines.setAttribute("aria-hidden", "true");
    new ResizeObserver(page.redraw).observe(this._lines);
  }

  template(task) {
    if (!task.steps.length)
      return html`<p>There is no plan yet. The analyzer makes it when the task starts.</p>`;
    const chosen = task.steps.find((step) => step.step_id === this._page.query.get("step"));
    return html`<div class="plan">
        ${this._lines}
        ${layers(task.steps).map((steps) => html`<ol class="layer">${steps.map((step) => this._node(step, chosen))}</ol>`)}
      </div>
      ${chosen ? details(chosen, this._page) : html`<p class="quiet">Choose a step to read what it did.</p>`}`;
  }

  drawn(task) {
    drawLines(this._lines, task.steps);
  }

  _node(step, chosen) {
    const took = step.started_at ? duration(workSeconds(step, this._page.time)) : null;
    return html`<li id=${`step-${step.step_id}`} class=${`step ${step.status}`}>
      <a href=${this._page.at("plan", { step: step.step_id })} aria-current=${step === chosen ? "true" : "false"}>${kind(step)}</a>
      ${state(step.status)}
      <p dir="auto">${visible(step.description)}</p>
      <p class="quiet">
        ${step.agent_type}${took ? ` · ${took}` : ""}${step.attempts > 1 ? ` · ${count(step.attempts, "attempt")}` : ""}
        ${step.depends_on.length ? html`<span class="unseen">, after ${step.depends_on.join(", ")}</span>` : null}
      </p>
    </li>`;
  }
}

// Each step stands in the layer after the last of those it depends on.
export function layers(steps) {
  const depth = new Map();
  for (const step of steps) {
    const above = step.depends_on.map((id) => depth.get(id) ?? 0);
    depth.set(step.step_id, above.length ? Math.max(...above) + 1 : 0);
  }
  const found = [];
  for (const step of steps) (found[depth.get(step.step_id)] ??= []).push(step);
  return found;
}

// Where the layers stand side by side, lines are curves; where they stand below one another, they run
// along the left.
function drawLines(svg, steps) {
  const plan = svg.parentElement;
  const base = plan.getBoundingClientRect();
  const boxes = new Map();
  for (const { step_id: id } of steps)
    boxes.set(id, plan.querySelector(`#step-${id}`).getBoundingClientRect());
  const paths = steps.flatMap((step) =>
    step.depends_on
      .filter((id) => boxes.has(id))
      .map((id) => {
        const path = document.createElementNS(SVG, "path");
        path.setAttribute(
          "d",
          lineBetween(boxes.get(id), boxes.get(step.step_id), base, plan.scrollLeft),
        );
        if (step.status !== "pending") path.setAttribute("class", "done");
        return path;
      }),
  );
  svg.setAttribute("width", plan.scrollWidth);
  svg.setAttribute("height", plan.scrollHeight);
  svg.replaceChildren(...paths);
}

function lineBetween(from, to, base, scrolled) {
  const y = (box) => box.top - base.top + box.height / 2;
  const x = (place) => place - base.left + scrolled;
  if (to.left > from.right) {
    const middle = (x(from.right) + x(to.left)) / 2;
    return `M${x(from.right)} ${y(from)} C${middle} ${y(from)} ${middle} ${y(to)} ${x(to.left)} ${y(to)}`;
  }
  return `M${x(from.left)} ${y(from)} H${x(from.left) - 12} V${y(to)} H${x(to.left)}`;
}

function details(step, page) {
  return html`<section class="details" aria-labelledby="details">
    <h2 id="details">${kind(step)} <span class="quiet">${step.step_id}</span></h2>
    <p dir="auto">${visible(step.description)}</p>
    ${step.error ? html`<p class="problem">${withCode(step.error.message)}</p>` : null}
    <dl class="facts">
      <dt>State</dt><dd>${step.status}${step.degraded ? ", degraded" : ""}</dd>
      <dt>Agent</dt><dd>${step.agent_type}</dd>
      ${step.depends_on.length ? html`<dt>After</dt><dd>${step.depends_on.map((id) => html`<a href=${page.at("plan", { step: id })}>${id}</a> `)}</dd>` : null}
      ${step.usage ? html`<dt>Used</dt><dd>${usage(step.usage)}</dd>` : null}
      ${Object.entries(step.result ?? {}).map(([name, value]) => html`<dt>${name}</dt><dd>${resultValue(value)}</dd>`)}
    </dl>
    ${step.history.length > 1 ? attempts(step) : null}
  </section>`;
}

function resultValue(value) {
  if (Array.isArray(value))
    return html`<ul>${value.map((one) => html`<li dir="auto">${resultValue(one)}</li>`)}</ul>`;
  return visible(typeof value === "object" ? JSON.stringify(value) : String(value));
}

const attempts = (step) => html`<h3>Attempts</h3>
  <ol class="attempts">${step.history.map(
    (one) => html`<li value=${one.attempt}>
      ${one.outcome}${one.ended_at ? ` after ${duration(secondsBetween(one.started_at, one.ended_at))}` : ""}${one.error ? `: ${one.error.message}` : ""}
      ${one.delay_s ? html`<span class="quiet">Then it waited ${duration(one.delay_s)}.</span>` : null}
    </li>`,
  )}</ol>`;
