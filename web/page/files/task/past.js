// Every state of a task: its events, and states kept on the way, so that any moment of its past is a
// few folds away.

import { fold } from "./fold.js";

const EVERY = 64;

export class Past {
  constructor() {
    this.events = [];
    this.now = null;
    this.kept = []; // After 0, EVERY, 2 EVERY, … events.
  }

  add(event) {
    if (this.events.length % EVERY === 0) this.kept.push(this.now);
    this.events.push(event);
    this.now = fold(this.now, event);
  }

  // The task when this event was its last.
  at(seq) {
    if (seq >= this.events.length) return this.now;
    const from = Math.floor((seq - 1) / EVERY);
    return this.events.slice(from * EVERY, seq).reduce(fold, this.kept[from]);
  }
}
