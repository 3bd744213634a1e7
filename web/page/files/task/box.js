// The box that takes a task or a follow-up, and starts it.

import { address } from "../address.js";
import { postJson, request } from "../api.js";
import { problem } from "../parts.js";
import { html } from "../vendor/lit-html.js";

export class TaskBox {
  constructor(redraw, { label, isHeading = false, contextTaskId = null }) {
    this._redraw = redraw;
    this._label = label;
    this._isHeading = isHeading;
    this._contextTaskId = contextTaskId;
    this._edited();
    this._isSending = false;
    this._error = null;
  }

  get hasFailed() {
    return this._error !== null;
  }

  // The server has answered: that it could not be reached is not true any more.
  reached() {
    if (this._error?.code === "unreachable") this._error = null;
  }

  template() {
    const label = html`<label for="task">${this._label}</label>`;
    return html`<form class="box" @submit=${this._submitted}>
      ${this._isHeading ? html`<h1>${label}</h1>` : html`<h2>${label}</h2>`}
      <textarea id="task" rows=${this._isHeading ? 4 : 2} maxlength="20000" required dir="auto"
        aria-describedby="task-hint" @keydown=${this._pressed} @input=${this._edited}></textarea>
      <p class="row">
        <button class="main" ?disabled=${this._isSending}>Run</button>
        <span class="quiet" id="task-hint">or Ctrl+Enter</span>
      </p>
      ${problem(this._error)}
    </form>`;
  }

  fill(description) {
    const box = document.getElementById("task");
    box.value = description;
    this._edited();
    box.focus();
  }

  _pressed = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  };

  // Another text is another task; the same one, sent again after an error, is not.
  _edited = () => {
    this._key = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
  };

  _submitted = async (event) => {
    event.preventDefault();
    if (this._isSending) return;
    const box = event.target.querySelector("textarea");
    [this._isSending, this._error] = [true, null];
    this._redraw();
    try {
      const { task_id } = await this._create(box.value);
      await start(task_id).catch(() => null); // The page of the task offers to run it again.
      box.value = "";
      this._edited();
      location.hash = address(["tasks", task_id]);
    } catch (error) {
      this._error = error;
    }
    this._isSending = false;
    this._redraw();
  };

  _create(description) {
    const task = { task_description: description };
    if (this._contextTaskId) task.context_task_id = this._contextTaskId;
    return postJson("/tasks", task, { "Idempotency-Key": this._key });
  }
}

// Starts a task without a stream: the page reads the events by themselves.
export function start(taskId, verb = "execute") {
  return request(`/tasks/${taskId}/${verb}`, {
    method: "POST",
    headers: { Prefer: "respond-async" },
  });
}
