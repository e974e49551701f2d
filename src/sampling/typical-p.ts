import { selectLargest } from './select.ts';

/** Tokens are put into bins by the upper bits of their distances as float32: exponent and four bits of the fraction. */
const binShift = 19;
const numBins = 2 ** (31 - binShift);

/** Tokens of one row. */
export interface LeftTokens {
  /** The tokens that are left, ascending. */
  readonly ids: Uint32Array;
  /** [vocabulary] */
  readonly logits: Float32Array;
  /** The softmax of the logits, divided by the temperature: [vocabulary]. */
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
   * token is typical if its information, -ln p, is close to the expected one, the entropy. As ln p is l / T but for a constant, the
   * distance is that of l / T from its mean.
   * Source: Meister et al., "Locally typical sampling", TACL 2023
   * @returns the ids that are kept, ascending; valid until the next call
   */
  of(
    row: LeftTokens,
    { temperature, typicalP }: { readonly temperature: number; readonly typicalP: number },
  ): Uint32Array {
    const mass = this.#measure(row, temperature);
    const farthest = this.#farthestKept(row, typicalP * mass);
    let numKept = 0;
    for (let i = 0; i < row.ids.length; i++) {
      const id = row.ids[i] ?? 0;
      this.#kept[numKept] = id;
      if ((this.#distances[id] ?? 0) <= farthest) numKept++;
    }
    return this.#kept.subarray(0, numKept);
  }

  /** Finds the distance of every token. @returns the weights of all tokens together */
  #measure({ ids, logits, weights }: LeftTokens, temperature: number): number {
    let mass = 0;
    let sum = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? 0;
      const weight = weights[id] ?? 0;
      if (weight === 0) continue;
      mass += weight;
      sum += weight * (logits[id] ?? 0);
    }
    const mean = sum / mass;
    this.#masses.fill(0);
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? 0;
      const weight = weights[id] ?? 0;
      this.#distances[id] = weight === 0 ? Number.POSITIVE_INFINITY : Math.abs((logits[id] ?? 0) - mean) / temperature;
      const bin = (this.#bits[id] ?? 0) >>> binShift;
      this.#masses[bin] = (this.#masses[bin] ?? 0) + weight;
    }
    return mass;
  }

  /** The distance of the last token that is needed to reach the mass. */
  #farthestKept({ ids, weights }: LeftTokens, mass: number): number {
    let bin = 0;
    let before = 0;
    for (; bin < numBins - 1; bin++) {
      const next = before + (this.#masses[bin] ?? 0);
      if (next >= mass) break;
      before = next;
    }
    const members: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? 0;
      if ((this.#bits[id] ?? 0) >>> binShift !== bin) continue;
      members.push(id);
      this.#keys[id] = -(this.#distances[id] ?? 0);
    }
    const tokens = { ids: Uint32Array.from(members), keys: this.#keys, weights };
    const last = selectLargest(tokens, { mass: Math.max(mass - before, Number.MIN_VALUE) }).at(-1);
    // Rounding may keep the sum from reaching the mass.
    return last === undefined ? Number.MAX_VALUE : (this.#distances[last] ?? 0);
  }
}
