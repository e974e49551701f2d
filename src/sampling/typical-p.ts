import { selectLargest } from './select.ts';

/** Tokens are put into bins by the upper bits of their distances as float32: exponent and four bits of the fraction. */
const binShift = 19;
const numBins = 2 ** (31 - binShift);

/** Tokens of one row. */
export interface LeftTokens {
  /** [vocabulary] */
  readonly logits: Float32Array;
  /** The softmax of the logits, divided by the temperature: [vocabulary]. 0 for tokens that are not left. */
  readonly weights: Float32Array;
}

/** Finds the most typical tokens of rows. Scratch memory is allocated once. */
export class TypicalTokens {
  readonly #distances: Float32Array;
  readonly #bits: Uint32Array;
  readonly #keys: Float32Array;
  readonly #kept: Uint32Array;
  readonly #masses = new Float64Array(numBins);

  constructor(vocabSize: number) {
    this.#distances = new Float32Array(vocabSize);
    this.#bits = new Uint32Array(this.#distances.buffer);
    this.#keys = new Float32Array(vocabSize);
    this.#kept = new Uint32Array(vocabSize);
  }

  /**
   * Keeps the most typical tokens that together hold the share `typicalP` of the mass, and those that are as typical as the last of them. A
   * token is typical if its information, -ln p, is close to the expected one, the entropy. As ln p is l / T but for a constant, tokens are
   * ranked by the distance of their logits from the mean.
   * Source: Meister et al., "Locally typical sampling", TACL 2023
   * @returns the ids that are kept, ascending; valid until the next call
   */
  of(row: LeftTokens, { typicalP }: { readonly typicalP: number }): Uint32Array {
    const mass = this.#measure(row);
    const farthest = this.#farthestKept(row, typicalP * mass);
    const distances = this.#distances;
    const kept = this.#kept;
    let numKept = 0;
    // Every id is written, and overwritten if it is not kept: a branch would often be predicted wrongly.
    for (let id = 0; id < distances.length; id++) {
      kept[numKept] = id;
      numKept += Number((distances[id] ?? 0) <= farthest);
    }
    return kept.subarray(0, numKept);
  }

  /** Finds the distance of every token. @returns the weights of all tokens together */
  #measure({ logits, weights }: LeftTokens): number {
    let mass = 0;
    let sum = 0;
    for (let id = 0; id < weights.length; id++) {
      const weight = weights[id] ?? 0;
      // The logit may be -Infinity.
      if (weight === 0) continue;
      mass += weight;
      sum += weight * (logits[id] ?? 0);
    }
    const mean = sum / mass;
    const distances = this.#distances;
    const bits = this.#bits;
    const masses = this.#masses.fill(0);
    for (let id = 0; id < weights.length; id++) {
      const weight = weights[id] ?? 0;
      distances[id] = weight === 0 ? Number.POSITIVE_INFINITY : Math.abs((logits[id] ?? 0) - mean);
      const bin = (bits[id] ?? 0) >>> binShift;
      masses[bin] = (masses[bin] ?? 0) + weight;
    }
    return mass;
  }

  /** The distance of the last token that is needed to reach the mass. */
  #farthestKept({ weights }: LeftTokens, mass: number): number {
    let bin = 0;
    let before = 0;
    for (; bin < numBins - 1; bin++) {
      const next = before + (this.#masses[bin] ?? 0);
      if (next >= mass) break;
      before = next;
    }
    const bits = this.#bits;
    const members: number[] = [];
    for (let id = 0; id < bits.length; id++) {
      if ((bits[id] ?? 0) >>> binShift !== bin) continue;
      members.push(id);
      this.#keys[id] = -(this.#distances[id] ?? 0);
    }
    const tokens = { ids: Uint32Array.from(members), keys: this.#keys, weights };
    const last = selectLargest(tokens, { mass: Math.max(mass - before, Number.MIN_VALUE) }).at(-1);
    // Rounding may keep the sum from reaching the mass.
    return last === undefined ? Number.MAX_VALUE : (this.#distances[last] ?? 0);
  }
}
