// The time axis of a task: the time of its runs, with the idle time between two runs cut out.

import { secondsBetween } from "../format.js";

const BREAK = 4; // Per cent of the width that a cut takes.
const STEPS = [1, 2, 5];

// `x` maps a time to per cent of the width; `breaks` are the cuts, `ticks` labelled places.
export function timeScale(runs, end) {
  const spans = runs.map((run) => ({ from: run.queued_at, to: run.ended_at ?? end }));
  const lengths = spans.map(({ from, to }) => Math.max(secondsBetween(from, to), 1e-3));
  const total = lengths.reduce((sum, one) => sum + one, 0);
  const perSecond = (100 - BREAK * (spans.length - 1)) / total;
  let left = 0;
  const placed = spans.map((span, index) => {
    const place = { ...span, left, right: left + lengths[index] * perSecond };
    left = place.right + BREAK;
    return place;
  });
  const x = (time) => {
    const span = placed.findLast(({ from }) => time >= from) ?? placed[0];
    return Math.min(
      span.right,
      Math.max(span.left, span.left + secondsBetween(span.from, time) * perSecond),
    );
  };
  const breaks = placed.slice(1).map((span, index) => ({
    x: span.left - BREAK / 2,
    seconds: secondsBetween(placed[index].to, span.from),
  }));
  return { x, breaks, ticks: ticks(placed, perSecond) };
}

// About five round times in each span, fewer in short ones.
function ticks(placed, perSecond) {
  return placed.flatMap(({ left, right }) => {
    const seconds = (right - left) / perSecond;
    const least = (seconds / 5) * (100 / (right - left)) ** 0.5;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = power * (STEPS.find((one) => one * power >= least) ?? 10);
    const found = [];
    for (let at = 0; at <= seconds * 0.93; at += step)
      found.push({ x: left + at * perSecond, seconds: at });
    return found;
  });
}
