import { selectLargest, sumOf } from './select.ts';

/** Finds the most typical tokens of rows. Scratch memory is allocated once. */
export class TypicalTokens {
  readonly #typicality: Float64Array;
  readonly #possible: Uint32Array;
  readonly #ranked: Uint32Array;

  constructor(vocabSize: number) {
    this.#typicality = new Float64Array(vocabSize);
    this.#possible = new Uint32Array(vocabSize);
    this.#ranked = new Uint32Array(vocabSize);
  }

  /**
   * Keeps the most typical tokens that together hold the share `typicalP` of the mass, and those that are as typical as the last of them. A
   * token is typical if its information, -ln p, is close to the expected one, the entropy.
   * Source: Meister et al., "Locally typical sampling", TACL 2023
   * @param ids ascending
   * @param weights of one row, [vocabulary]
   * @returns the ids that are kept, ascending; valid until the next call
   */
  of(ids: Uint32Array, weights: Float32Array, typicalP: number): Uint32Array {
    const keys = this.#typicality;
    const mass = sumOf(ids, weights);
    let numPossible = 0;
    let entropy = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? 0;
      const probability = (weights[id] ?? 0) / mass;
      if (probability === 0) continue;
      const information = -Math.log(probability);
      keys[id] = information;
      entropy += probability * information;
      this.#possible[numPossible++] = id;
    }
    const possible = this.#possible.subarray(0, numPossible);
    for (let i = 0; i < numPossible; i++) {
      const id = possible[i] ?? 0;
      keys[id] = -Math.abs((keys[id] ?? 0) - entropy);
    }
    const ranked = this.#ranked.subarray(0, numPossible);
    ranked.set(possible);
    const last = selectLargest({ ids: ranked, keys, weights }, { mass: typicalP * mass }).at(-1) ?? 0;
    const leastTypical = keys[last] ?? 0;
    let numKept = 0;
    for (let i = 0; i < numPossible; i++) {
      const id = possible[i] ?? 0;
      if ((keys[id] ?? 0) >= leastTypical) possible[numKept++] = id;
    }
    return possible.subarray(0, numKept);
  }
}
