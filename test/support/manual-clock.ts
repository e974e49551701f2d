import type { Clock } from '../../src/core/index.ts';

/** A clock that moves only when it is advanced. */
export class ManualClock implements Clock {
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
