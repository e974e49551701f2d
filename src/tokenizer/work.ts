/** Counts the steps of a long computation. Every few thousand steps, it checks whether the result is still wanted. */
export class Work {
  readonly #check: () => void;
  #steps = 0;
  #nextCheck = stepsPerCheck;

  /** @param check throws to cancel the work */
  constructor(check: () => void = () => {}) {
    this.#check = check;
  }

  /** A step takes a few nanoseconds when searching for added tokens, and up to a microsecond when merging. */
  get steps(): number {
    return this.#steps;
  }

  step(count = 1): void {
    this.#steps += count;
    if (this.#steps < this.#nextCheck) return;
    this.#nextCheck = this.#steps + stepsPerCheck;
    this.#check();
  }
}

const stepsPerCheck = 4096;
