import type { Clock } from '../../src/core/index.ts';

/** A clock that stands still until it is told otherwise. */
export class ManualClock implements Clock {
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
