/** Counts the steps of a long computation, and asks every few thousand of them whether it is still wanted. */
export class Work {
  readonly #check: () => void;
  #steps = 0;
  #nextCheck = stepsPerCheck;

  /** @param check throws to give the work up */
  constructor(check: () => void = () => {}) {
    this.#check = check;
  }

  /** A step takes some nanoseconds in the search for added tokens and up to a microsecond in merging. */
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
