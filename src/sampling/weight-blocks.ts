const blockSize = 512;

/** Whether weights that add up to this are probabilities. If not, the logits were not finite, or all -Infinity. */
export function isProbability(mass: number): boolean {
  return Math.abs(mass - 1) < 0.1;
}

/** Draws from all tokens of a row, in the order of their ids: most of them are added up, but not looked at one by one. */
export class WeightBlocks {
  readonly #masses: Float64Array;
  #weights: Float32Array = new Float32Array();

  constructor(vocabSize: number) {
    this.#masses = new Float64Array(Math.ceil(vocabSize / blockSize));
  }

  /** @param weights of one row, [vocabulary] @returns their sum */
  load(weights: Float32Array): number {
    this.#weights = weights;
    let sum = 0;
    for (let block = 0; block < this.#masses.length; block++) {
      const mass = sumOfRange(weights, block * blockSize, Math.min((block + 1) * blockSize, weights.length));
      this.#masses[block] = mass;
      sum += mass;
    }
    return sum;
  }

  /** The id at which the running sum of weights reaches the mass. */
  reaching(mass: number): number {
    let block = 0;
    let reached = 0;
    for (; block < this.#masses.length - 1; block++) {
      const next = reached + (this.#masses[block] ?? 0);
      if (next >= mass) break;
      reached = next;
    }
    let last = 0;
    for (let id = block * blockSize; id < this.#weights.length; id++) {
      const weight = this.#weights[id] ?? 0;
      if (weight === 0) continue;
      last = id;
      reached += weight;
      if (reached >= mass) return id;
    }
    return last;
  }
}

/** Four sums at a time, so that no addition waits for the one before. */
function sumOfRange(weights: Float32Array, start: number, end: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let id = start;
  for (; id + 3 < end; id += 4) {
    a += weights[id] ?? 0;
    b += weights[id + 1] ?? 0;
    c += weights[id + 2] ?? 0;
    d += weights[id + 3] ?? 0;
  }
  for (; id < end; id++) a += weights[id] ?? 0;
  return a + b + (c + d);
}
