/** Finds the likeliest tokens of rows. Memory is allocated once. */
export class LikeliestIds {
  readonly #ids: Uint32Array;
  readonly #logits: Float32Array;

  /** @param maxCount the most tokens that are asked for */
  constructor(maxCount: number) {
    this.#ids = new Uint32Array(maxCount);
    this.#logits = new Float32Array(maxCount);
  }

  /**
   * @param logits of one row, [vocabulary]
   * @returns the `count` likeliest tokens, the likeliest first; of equals, the smaller id first. Valid until the next call
   */
  of(logits: Float32Array, count: number): Uint32Array {
    const { length } = logits;
    const best = this.#logits;
    const ids = this.#ids;
    const size = Math.min(count, ids.length, length);
    if (size === 0) return ids.subarray(0, 0);
    // What a token has to exceed to be among the likeliest. NaN until all places are taken.
    let least = Number.NaN;
    for (let id = 0; id < length; id++) {
      const logit = logits[id] ?? 0;
      if (logit <= least) continue;
      // The last token drops out, or a place is free.
      let place = Math.min(id, size - 1);
      for (; place > 0; place--) {
        const before = best[place - 1] ?? 0;
        if (before >= logit) break;
        best[place] = before;
        ids[place] = ids[place - 1] ?? 0;
      }
      best[place] = logit;
      ids[place] = id;
      if (id >= size - 1) least = best[size - 1] ?? 0;
    }
    return ids.subarray(0, size);
  }
}
