// The report, as far as it is written, and what is going on meanwhile.

import { duration, line } from "../format.js";
import { state, withCode } from "../parts.js";
import { Citations } from "../text/citations.js";
import { MarkdownView } from "../text/markdown.js";
import { html } from "../vendor/lit-html.js";
import { TaskBox } from "./box.js";
import { FINAL, partialOutput, workSeconds } from "./fold.js";
import { kind } from "./plan.js";

export class Answer {
  constructor(page) {
    this._page = page;
    this._node = document.createElement("div");
    this._node.className = "report";
    this._body = document.createElement("div");
    this._node.append(this._body);
    this._citations = new Citations(this._node);
    this._view = new MarkdownView(this._body, this._citations.inline);
    this._followUp = new TaskBox(page.redraw, { label: "Ask a follow-up", contextTaskId: page.id });
  }

  template(task) {
    const text = this._text(task);
    const isOver = FINAL.has(task.status);
    return html`
      ${notice(task)} ${isOver || text ? null : progress(task, this._page)} ${text ? this._node : null}
      ${text && !isOver ? html`<p class="quiet writing">${writing(task)}</p>` : null}
      ${isOver && !text ? html`<p class="quiet">Nothing was written.</p>` : null}
      ${task.status === "completed" && !this._page.isPast ? this._followUp.template() : null}
    `;
  }

  drawn(task) {
    const hasMore = this._view.update(withoutTitle(this._text(task), task.task_description));
    this._citations.cite(task.sources);
    if (hasMore) this._page.redraw();
  }

  _text(task) {
    return task.final_output ?? partialOutput(task) ?? "";
  }
}

// A report begins with its task as a title, which stands above already.
function withoutTitle(text, description) {
  const heading = /^# (.*)\n+/.exec(text);
  if (!heading) return text.startsWith("# ") || text === "#" ? "" : text;
  const letters = (words) => words.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
  const isSame = letters(description).startsWith(letters(heading[1]));
  return isSame ? text.slice(heading[0].length) : text;
}

function notice(task) {
  if (task.status === "failed") {
    return html`<div class="problem" role="alert">
      <p>The task failed: ${withCode(task.error.message)}</p>
      <p>“Retry” goes on from the first step that is not finished${task.text || task.kept_text ? "; what was written so far stands below" : ""}.</p>
    </div>`;
  }
  if (task.status === "cancelled") {
    return html`<div class="note"><p>The task was cancelled${task.reason ? html`: <bdi>${task.reason}</bdi>` : "."}</p>
      <p>“Retry” goes on from the first step that is not finished.</p></div>`;
  }
  const reasons = task.steps.filter((step) => step.degraded && step.error);
  if (!task.degraded || !reasons.length) return null;
  return html`<div class="note"><p>Something failed on the way, and the report does without it:</p>
    <ul>${reasons.map((step) => html`<li>${kind(step)}: ${withCode(step.error.message)}</li>`)}</ul></div>`;
}

function progress(task, page) {
  if (task.status === "pending")
    return html`<p>This task has not been started. “Run” starts it.</p>`;
  if (task.status === "queued") {
    const { position } = task.runs.at(-1);
    return html`<p>It waits for a free slot${position ? `; ${position} tasks were ahead of it` : ""}.</p>`;
  }
  return html`<ol class="progress">${task.steps.map((step) => progressRow(step, page))}</ol>`;
}

function progressRow(step, page) {
  const took = step.started_at ? duration(workSeconds(step, page.time)) : "";
  return html`<li class=${step.status}>
    ${state(step.status)} <span dir="auto">${line(step.description)}</span> <span class="quiet">${took}</span>
    ${step.status === "retrying" ? html`<br /><span class="quiet">${retryReason(step)}</span>` : null}
  </li>`;
}

function retryReason(step) {
  const last = step.history.at(-1);
  const why = step.error?.message ?? "The server was restarted.";
  return `${why} Attempt ${step.attempts + 1} follows${last?.delay_s ? ` after ${duration(last.delay_s)}` : ""}.`;
}

function writing(task) {
  const last = task.steps.at(-1);
  if (last?.status === "retrying") return retryReason(last);
  return "Writing …";
}
