// The events of a task, each once and in order, whatever happens to the connection.
//
// Rule: the last event is the only state. A stream that ends before the task's log does is asked for again
// from there: at once after a cut, then later and later. In a hidden tab nothing is held open, since a
// browser opens only six connections to a server: it looks from time to time.

import { ApiError, request } from "../api.js";
import { ENDINGS } from "./fold.js";

const QUIET_MS = 40_000; // The server sends a heartbeat every 15 s.
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const HIDDEN_WAIT_MS = 10_000;

// Calls `take` with lists of events after the event `last` (null: all), and `tell` with null while the
// connection works, or a sentence while it does not. Returns at the end of the log; raises what waiting
// cannot mend.
export async function follow(taskId, last, { take, tell, signal }) {
  let failures = 0;
  for (;;) {
    const before = last;
    let error = null;
    try {
      for await (const events of batches(taskId, last, tell, signal)) {
        take(events);
        last = events.at(-1);
      }
      if (ENDINGS.has(last?.event_type)) return;
    } catch (caught) {
      if (signal.aborted) return;
      if (caught instanceof ApiError && !caught.isPassing) throw caught;
      error = caught;
    }
    if (signal.aborted) return;
    failures = last === before ? failures + 1 : 0;
    await untilNextTry(error, failures, tell, signal);
  }
}

// One connection: the new events of each chunk.
async function* batches(taskId, last, tell, signal) {
  const connection = new AbortController();
  const close = () => connection.abort();
  const quiet = watch(close);
  signal.addEventListener("abort", close);
  document.addEventListener("visibilitychange", close);
  try {
    let seq = last?.seq ?? 0;
    const query = `after=${seq}&follow=${!document.hidden}`;
    const response = await request(`/tasks/${encodeURIComponent(taskId)}/events?${query}`, {
      signal: connection.signal,
    });
    tell(null);
    for await (const lines of chunks(response.body, quiet)) {
      const events = lines.filter((line) => line.seq > seq); // A heartbeat has no seq.
      if (lines.some(isDeleted)) throw new ApiError(404, { detail: "This task was deleted." });
      if (events.length) yield events;
      seq = events.at(-1)?.seq ?? seq;
    }
  } finally {
    quiet.stop();
    signal.removeEventListener("abort", close);
    document.removeEventListener("visibilitychange", close);
    close();
  }
}

function isDeleted(line) {
  return line.event_type === "stream_closing" && line.data.reason === "deleted";
}

// The complete lines of each chunk, as objects.
async function* chunks(body, quiet) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    quiet.heard();
    if (done) return; // A line without its end was cut, and comes again.
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    yield lines.map((text) => JSON.parse(text));
  }
}

// Closes a connection on which nothing comes any more, as after a laptop has slept.
function watch(close) {
  let timer = setTimeout(close, QUIET_MS);
  return {
    heard() {
      clearTimeout(timer);
      timer = setTimeout(close, QUIET_MS);
    },
    stop: () => clearTimeout(timer),
  };
}

async function untilNextTry(error, failures, tell, signal) {
  if (document.hidden) return wait(HIDDEN_WAIT_MS, signal);
  if (failures === 0) return;
  const grown = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
  const least = (error?.retryAfterS ?? 0) * 1000;
  if (failures > 1)
    tell("The connection is lost. The page continues as soon as the server answers.");
  await wait(Math.max(least, grown * (0.5 + Math.random() / 2)), signal);
}

// Until the time is over, or there is a reason to try again at once.
function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      window.removeEventListener("online", end);
      document.removeEventListener("visibilitychange", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    window.addEventListener("online", end);
    document.addEventListener("visibilitychange", end);
    signal.addEventListener("abort", end);
  });
}
