// The scrubber: the whole page as it was after any event.

import { duration } from "../format.js";
import { html } from "../vendor/lit-html.js";
import { runSeconds } from "./fold.js";
import { eventWords, summary } from "./log.js";

export function scrubber(page, task) {
  const { events } = page.past;
  if (events.length < 2) return null;
  const seq = page.seq === null ? events.length : Math.min(page.seq, events.length);
  const event = events[seq - 1];
  const words = eventWords(event);
  const since = runSeconds(task, event.timestamp);
  const move = (to) => page.moveTo(to >= events.length ? null : to);
  return html`<form class="scrubber" aria-label="The task's past" @submit=${(event) => event.preventDefault()}>
    <button type="button" class="plain" aria-label="One event back" ?disabled=${seq === 1} @click=${() => move(seq - 1)}>‹</button>
    <input type="range" min="1" max=${events.length} .value=${String(seq)} aria-label="Event"
      aria-valuetext=${`Event ${seq} of ${events.length}: ${words}`} @input=${({ target }) => move(Number(target.value))} />
    <button type="button" class="plain" aria-label="One event on" ?disabled=${seq === events.length} @click=${() => move(seq + 1)}>›</button>
    <output class=${page.isPast ? "past" : "quiet"}>
      ${
        page.isPast
          ? html`As it was at event ${seq} of ${events.length}${since === null ? "" : `, after ${duration(since)}`}: ${words}
          <span class="quiet">${summary(event.data)}</span>
          <button type="button" class="plain" @click=${() => move(Infinity)}>Back to now</button>`
          : "Drag to see the task at any moment of its past."
      }
    </output>
  </form>`;
}
