// A task, folded from its events: what the server's `evolve` does (actors/tasks/life.py), and beside it
// what the page shows of the past: attempts, runs and marks.
//
// Rule: `fold` is pure. A state is never changed, so that every state of the past may be kept.

import { secondsBetween } from "../format.js";

export const FINAL = new Set(["completed", "failed", "cancelled"]);
export const ENDINGS = new Set(["task_completed", "task_failed", "task_cancelled"]);
const UNFINISHED = new Set(["pending", "running", "retrying"]);

const STATUS_AFTER = {
  task_queued: "queued",
  task_started: "executing",
  task_resumed: "executing",
  task_completed: "completed",
  task_failed: "failed",
  task_cancelled: "cancelled",
};

const MOVES = {
  task_queued: queued,
  task_started: started,
  task_resumed: resumed,
  plan_created: planned,
  step_started: stepStarted,
  partial_output: (task, data) => ({ text: task.text + data.content }),
  step_retrying: stepRetrying,
  step_completed: stepCompleted,
  step_failed: stepFailed,
  task_completed: completed,
  task_failed: (task, data, at) => ({ ...stopped(task, data, at), error: data.error }),
  task_cancelled: (task, data, at) => ({ ...stopped(task, data, at), reason: data.reason }),
};

// The task after one more event; null is the task before its first. Unknown types change nothing else.
export function fold(task, event) {
  const { seq, event_type: type, timestamp: at, data } = event;
  if (task === null) return created(event);
  const status = STATUS_AFTER[type] ?? task.status;
  return { ...task, status, last_seq: seq, updated_at: at, ...MOVES[type]?.(task, data, at) };
}

function created({ task_id, timestamp, data }) {
  return {
    task_id,
    status: "pending",
    task_description: data.task_description,
    created_at: timestamp,
    updated_at: timestamp,
    last_seq: 1,
    run: 0,
    runs: [], // {run, position, queued_at, started_at, ended_at}
    marks: [], // {at, reason}: the server went on with the task
    steps: [],
    text: "",
    kept_text: null,
    final_output: null,
    error: null,
    reason: null, // Why it was cancelled.
    degraded: false,
    deadline_s: data.deadline_s,
    metadata: data.metadata,
    context_task_id: data.context_task_id ?? null,
    budget: data.budget ?? null,
    usage: null,
    sources: null,
  };
}

export function partialOutput(task) {
  return task.status === "completed" ? null : task.text || task.kept_text;
}

// The clock of a task: seconds since its run was queued, at this time; null before its first run.
export function runSeconds(task, time) {
  const run = task.runs.findLast(({ queued_at: from }) => from <= time);
  return run ? secondsBetween(run.queued_at, time) : null;
}

// How long a step was worked on up to this time, without the waits between its attempts.
export function workSeconds(step, time) {
  const lengths = step.history.map((one) => secondsBetween(one.started_at, one.ended_at ?? time));
  return lengths.reduce((sum, one) => sum + one, 0);
}

// --- the task ----------------------------------------------------------------------------------------

function queued(task, { run, position }, at) {
  const next = { run, position, queued_at: at, started_at: null, ended_at: null };
  return { run, error: null, reason: null, runs: [...task.runs, next] };
}

function started(task, data, at) {
  return { runs: lastRun(task, { started_at: at }) };
}

function resumed(task, { reason }, at) {
  const steps = task.steps.map((step) => {
    if (step.status === "completed") return step;
    const ended = endAttempt(step, at, "stopped");
    if (reason === "retry") {
      return { ...ended, status: "pending", tries: 0, finished_at: null, error: null };
    }
    return step.status === "running" ? { ...ended, status: "retrying" } : step;
  });
  const run = task.runs.at(-1);
  const runs = run && !run.started_at ? lastRun(task, { started_at: at }) : task.runs;
  return { steps, runs, marks: [...task.marks, { at, reason }] };
}

function planned(task, { steps }) {
  const known = new Map(task.steps.map((step) => [step.step_id, step]));
  return { steps: steps.map((step) => known.get(step.step_id) ?? newStep(step)) };
}

function completed(task, data, at) {
  const { final_output, degraded, sources, usage } = data;
  const runs = lastRun(task, { ended_at: at });
  return { final_output, degraded, sources, runs, usage: usage ?? task.usage };
}

function stopped(task, { usage }, at) {
  const steps = task.steps.map((step) =>
    UNFINISHED.has(step.status)
      ? { ...endAttempt(step, at, "stopped"), status: "cancelled" }
      : step,
  );
  return { steps, runs: lastRun(task, { ended_at: at }), usage: usage ?? task.usage };
}

function lastRun(task, changes) {
  return task.runs.length ? [...task.runs.slice(0, -1), { ...task.runs.at(-1), ...changes }] : [];
}

// --- its steps ---------------------------------------------------------------------------------------

function newStep({ step_id, step, agent_type, description, depends_on = [] }) {
  return {
    step_id,
    step,
    agent_type,
    description,
    depends_on,
    status: "pending",
    attempts: 0,
    tries: 0,
    started_at: null,
    finished_at: null,
    error: null,
    degraded: false,
    result: null,
    usage: null,
    history: [], // {attempt, started_at, ended_at, outcome, error, delay_s}
  };
}

function stepStarted(task, data, at) {
  const attempt = { attempt: data.attempt, started_at: at, ended_at: null, outcome: "running" };
  const start = (step) => ({
    ...step,
    status: "running",
    attempts: data.attempt,
    tries: step.tries + 1,
    started_at: step.started_at ?? at,
    finished_at: null,
    history: [...step.history, attempt],
  });
  const known = task.steps.some((step) => step.step_id === data.step_id);
  const steps = known ? changed(task, data, start) : [...task.steps, start(newStep(data))];
  if (data.continues) return { steps, text: task.text || task.kept_text || "" };
  if (data.step !== "writing") return { steps };
  return { steps, kept_text: task.text || task.kept_text, text: "" };
}

function stepRetrying(task, data, at) {
  const { error, delay_s } = data;
  const retry = (step) => ({
    ...endAttempt(step, at, "failed", { error, delay_s }),
    status: "retrying",
    error,
    usage: sum(step.usage, data.usage),
  });
  return { steps: changed(task, data, retry), usage: sum(task.usage, data.usage) };
}

function stepCompleted(task, data, at) {
  const { error, degraded, result } = data;
  const complete = (step) => ({
    ...endAttempt(step, at, "completed"),
    status: "completed",
    error,
    degraded,
    result,
    finished_at: at,
    usage: sum(step.usage, data.usage),
  });
  const usage = sum(task.usage, data.usage);
  return { steps: changed(task, data, complete), usage, degraded: task.degraded || degraded };
}

function stepFailed(task, data, at) {
  const { error } = data;
  const fail = (step) => ({
    ...endAttempt(step, at, "failed", { error }),
    status: "failed",
    error,
    finished_at: at,
    usage: sum(step.usage, data.usage),
  });
  return { steps: changed(task, data, fail), usage: sum(task.usage, data.usage) };
}

function changed(task, { step_id }, change) {
  return task.steps.map((step) => (step.step_id === step_id ? change(step) : step));
}

function endAttempt(step, at, outcome, more = {}) {
  const last = step.history.at(-1);
  if (!last || last.outcome !== "running") return step;
  return {
    ...step,
    history: [...step.history.slice(0, -1), { ...last, ended_at: at, outcome, ...more }],
  };
}

function sum(one, other) {
  if (!one || !other) return one || other || null;
  return {
    input_tokens: one.input_tokens + other.input_tokens,
    output_tokens: one.output_tokens + other.output_tokens,
    cost: one.cost + other.cost,
    estimated: one.estimated || other.estimated,
  };
}
