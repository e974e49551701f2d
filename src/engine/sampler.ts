import type { SamplingParams } from '../core/index.ts';
import { uniform } from './random.ts';

/** Below this temperature the likeliest token is as good as certain, and dividing by it would overflow. */
const greedyBelow = 1e-5;

/** Whether the likeliest token is taken, which the graph itself finds. */
export function isGreedy({ temperature }: SamplingParams): boolean {
  return temperature < greedyBelow;
}

/** Chooses the next token of a row. */
export interface TokenSampler {
  /**
   * @param logits of one row, [vocabulary]; overwritten by the next run
   * @param tokenIndex which token of the request it is
   * @returns undefined if logits are not numbers
   */
  sample(logits: Float32Array, params: SamplingParams, tokenIndex: number): number | undefined;
  /** The same from the likeliest tokens of the row. @returns undefined if others are needed too; where it is absent, they always are */
  sampleAmong?(candidates: Candidates, params: SamplingParams, tokenIndex: number): number | undefined;
}

/** The likeliest tokens of a row, the likeliest first. */
export interface Candidates {
  readonly ids: ArrayLike<bigint>;
  readonly logits: Float32Array;
  /** The sum of exp((logit - largest) / temperature) over all tokens of the row. */
  readonly total: number;
}

/**
 * Temperature, then top-k, then top-p, as in Hugging Face transformers; of equally likely tokens the smaller id counts as likelier.
 * Scratch memory is made once: no token costs an allocation of the vocabulary's size.
 */
export class Sampler implements TokenSampler {
  /** Relative to the likeliest token, whose weight is 1. */
  readonly #weights: Float64Array;
  readonly #ids: Uint32Array;

  constructor(vocabSize: number) {
    this.#weights = new Float64Array(vocabSize);
    this.#ids = new Uint32Array(vocabSize);
  }

  sample(logits: Float32Array, params: SamplingParams, tokenIndex: number): number | undefined {
    const best = argmax(logits);
    if (isGreedy(params)) return Number.isNaN(logits[best]) ? undefined : best;
    const total = this.#weigh(logits, logits[best] ?? 0, params.temperature);
    if (Number.isNaN(total)) return undefined;
    return this.#pick(this.#likeliest(params, total), params, tokenIndex);
  }

  sampleAmong({ ids, logits, total }: Candidates, params: SamplingParams, tokenIndex: number): number | undefined {
    const { temperature, topK, topP } = params;
    const max = logits[0] ?? 0;
    let mass = 0;
    for (const [i, logit] of logits.entries()) {
      const id = Number(ids[i]);
      this.#ids[i] = id;
      const weight = Math.exp((logit - max) / temperature);
      this.#weights[id] = weight;
      mass += weight;
    }
    if (Number.isNaN(total) || (topK > 0 ? topK > logits.length : topP >= 1 || mass < topP * total)) return undefined;
    const last = this.#ids[logits.length - 1] ?? 0;
    const kept = this.#keep(this.#ids.subarray(0, logits.length), params, total);
    // Of tokens as likely as the last candidate, others may have been left out that come before it.
    const isCut = logits.length < this.#weights.length;
    if (isCut && kept.some((id) => this.#weights[id] === this.#weights[last])) return undefined;
    return this.#pick(kept, params, tokenIndex);
  }

  #pick(kept: Uint32Array, { seed }: SamplingParams, tokenIndex: number): number {
    return pick(kept, this.#weights, uniform(seed, tokenIndex) * sumOf(kept, this.#weights));
  }

  /** @returns the sum of all weights */
  #weigh(logits: Float32Array, max: number, temperature: number): number {
    const weights = this.#weights;
    let total = 0;
    for (let id = 0; id < weights.length; id++) {
      const weight = Math.exp(((logits[id] ?? 0) - max) / temperature);
      weights[id] = weight;
      total += weight;
    }
    return total;
  }

  /** The ids that top-k and top-p keep, ascending. */
  #likeliest(params: SamplingParams, total: number): Uint32Array {
    const { topK, topP } = params;
    const weights = this.#weights;
    // All tokens below this weight together hold less than 1 - topP of the mass: without top-k, none of them can be kept.
    const negligible = topK > 0 ? 0 : ((1 - topP) * total) / weights.length;
    let numKept = 0;
    for (let id = 0; id < weights.length; id++) if ((weights[id] ?? 0) >= negligible) this.#ids[numKept++] = id;
    return this.#keep(this.#ids.subarray(0, numKept), params, total);
  }

  /** What top-k and top-p keep of some ids, ascending; `total` is the sum of all weights, those of other ids included. */
  #keep(ids: Uint32Array, { topK, topP }: SamplingParams, total: number): Uint32Array {
    const weights = this.#weights;
    let kept = ids;
    let mass = total;
    if (topK > 0) {
      kept = selectLikeliest(kept, weights, { count: topK, mass: Number.POSITIVE_INFINITY });
      mass = sumOf(kept, weights);
    }
    if (topP < 1) kept = selectLikeliest(kept, weights, { count: Number.POSITIVE_INFINITY, mass: topP * mass });
    return topK > 0 || topP < 1 ? kept.sort() : kept;
  }
}

/** The index of the largest; the first of equals. */
function argmax(logits: Float32Array): number {
  let best = 0;
  let max = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? 0;
    if (logit > max) {
      max = logit;
      best = id;
    }
  }
  return best;
}

/** The first id at which the running sum of weights exceeds the target. */
function pick(ids: Uint32Array, weights: Float64Array, target: number): number {
  let sum = 0;
  let last = 0;
  for (const id of ids) {
    const weight = weights[id] ?? 0;
    sum += weight;
    if (sum > target) return id;
    if (weight > 0) last = id;
  }
  return last;
}

function sumOf(ids: Uint32Array, weights: Float64Array): number {
  let sum = 0;
  for (const id of ids) sum += weights[id] ?? 0;
  return sum;
}

/**
 * Moves to the front the likeliest ids: the fewest that reach the count, or the mass, whichever is less. Quickselect, linear on average.
 * @returns those
 */
function selectLikeliest(
  ids: Uint32Array,
  weights: Float64Array,
  enough: { readonly count: number; readonly mass: number },
): Uint32Array {
  let low = 0;
  let high = ids.length;
  let massBelowLow = 0;
  while (low < high) {
    const pivot = partition(ids, weights, low, high);
    const massBelow = massBelowLow + sumOf(ids.subarray(low, pivot), weights);
    const massWith = massBelow + (weights[ids[pivot] ?? 0] ?? 0);
    if (pivot >= enough.count || massBelow >= enough.mass) {
      high = pivot;
    } else if (pivot + 1 >= enough.count || massWith >= enough.mass) {
      return ids.subarray(0, pivot + 1);
    } else {
      low = pivot + 1;
      massBelowLow = massWith;
    }
  }
  return ids.subarray(0, low);
}

/** Puts the ids of a range that are likelier than its middle one in front of it. @returns where that one is then */
function partition(ids: Uint32Array, weights: Float64Array, low: number, high: number): number {
  const middle = (low + high) >> 1;
  const pivot = ids[middle] ?? 0;
  const pivotWeight = weights[pivot] ?? 0;
  ids[middle] = ids[high - 1] ?? 0;
  let at = low;
  for (let i = low; i < high - 1; i++) {
    const id = ids[i] ?? 0;
    const weight = weights[id] ?? 0;
    if (weight > pivotWeight || (weight === pivotWeight && id < pivot)) {
      ids[i] = ids[at] ?? 0;
      ids[at++] = id;
    }
  }
  ids[high - 1] = ids[at] ?? 0;
  ids[at] = pivot;
  return at;
}
