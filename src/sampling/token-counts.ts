/** Counts tokens in memory that is allocated once: counting costs as much as there are tokens, whatever the vocabulary's size. */
export class TokenCounts {
  readonly #counts: Uint32Array;
  #distinct: number[] = [];

  constructor(vocabSize: number) {
    this.#counts = new Uint32Array(vocabSize);
  }

  /** Counts the tokens of these lists together. @returns the distinct ones, valid until the next call */
  count(...lists: readonly (readonly number[])[]): readonly number[] {
    for (const id of this.#distinct) this.#counts[id] = 0;
    this.#distinct = [];
    for (const list of lists) {
      for (const id of list) {
        const count = this.#counts[id] ?? 0;
        if (count === 0) this.#distinct.push(id);
        this.#counts[id] = count + 1;
      }
    }
    return this.#distinct;
  }

  /** How often the token occurred in the last count. */
  of(id: number): number {
    return this.#counts[id] ?? 0;
  }
}
