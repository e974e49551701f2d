import { segmentSize } from './segments.ts';

/** Finds the most likely tokens of rows. Memory is allocated once. */
export class LikeliestIds {
  readonly #largest: LargestValues;

  /** @param maxCount the most tokens that are asked for */
  constructor(maxCount: number) {
    this.#largest = new LargestValues(maxCount);
  }

  /**
   * @param logits of one row, [vocabulary]
   * @param maxima the largest logit of each segment
   * @returns the `count` most likely tokens, the most likely first; of equals, the smaller id first. Valid until the next call
   */
  of(logits: Float32Array, maxima: Float32Array, count: number): Uint32Array {
    const largest = this.#largest;
    largest.start(count);
    for (let segment = 0; segment < maxima.length; segment++) largest.offer(segment, maxima[segment] ?? 0);
    // That many segments have a token that is at least as likely, so the others have none of the most likely.
    const least = largest.least;
    largest.start(count);
    for (let segment = 0; segment < maxima.length; segment++) {
      if ((maxima[segment] ?? 0) < least) continue;
      const end = Math.min((segment + 1) * segmentSize, logits.length);
      for (let id = segment * segmentSize; id < end; id++) largest.offer(id, logits[id] ?? 0);
    }
    return largest.ids;
  }
}

/** Keeps the largest of values that are offered one after the other. */
class LargestValues {
  readonly #ids: Uint32Array;
  readonly #values: Float32Array;
  #size = 0;
  #numTaken = 0;
  #least = Number.NaN;

  constructor(maxCount: number) {
    this.#ids = new Uint32Array(maxCount);
    this.#values = new Float32Array(maxCount);
  }

  start(count: number): void {
    this.#size = Math.min(count, this.#ids.length);
    this.#numTaken = 0;
    this.#least = this.#size > 0 ? Number.NaN : Number.POSITIVE_INFINITY;
  }

  /** What a value has to exceed to be among the largest. NaN until all places are taken: then any value is. */
  get least(): number {
    return this.#least;
  }

  /** The ids of the largest values, the largest first. */
  get ids(): Uint32Array {
    return this.#ids.subarray(0, this.#numTaken);
  }

  /** Of equal values, the first one counts as larger. */
  offer(id: number, value: number): void {
    if (value <= this.#least) return;
    const ids = this.#ids;
    const values = this.#values;
    // A place is free, or the last one drops out.
    let place = this.#numTaken < this.#size ? this.#numTaken++ : this.#size - 1;
    for (; place > 0; place--) {
      const before = values[place - 1] ?? 0;
      if (before >= value) break;
      values[place] = before;
      ids[place] = ids[place - 1] ?? 0;
    }
    values[place] = value;
    ids[place] = id;
    if (this.#numTaken === this.#size) this.#least = values[this.#size - 1] ?? 0;
  }
}
