import type { SamplingParams } from '../core/index.ts';
import { uniform } from './random.ts';

/** Below this temperature the likeliest token is as good as certain, and dividing by it would overflow. */
const greedyBelow = 1e-5;

/** Chooses the next token of a row. */
export interface TokenSampler {
  /**
   * @param logits of one row, [vocabulary]; overwritten by the next run
   * @param tokenIndex which token of the request it is
   */
  sample(logits: Float32Array, params: SamplingParams, tokenIndex: number): number;
}

/** Samples as Hugging Face transformers does. Its scratch memory is made once: no token costs an allocation of the vocabulary's size. */
export class Sampler implements TokenSampler {
  readonly #weights: Float64Array;
  readonly #ids: Uint32Array;

  constructor(vocabSize: number) {
    this.#weights = new Float64Array(vocabSize);
    this.#ids = new Uint32Array(vocabSize);
  }

  /** Temperature, then top-k, then top-p. Seed and token index fix the random number. */
  sample(logits: Float32Array, params: SamplingParams, tokenIndex: number): number {
    const best = argmax(logits);
    if (params.temperature < greedyBelow) return best;
    const max = logits[best] ?? 0;
    // Relative to the likeliest token, whose weight is 1.
    const weightOf = (logit: number) => Math.exp((logit - max) / params.temperature);
    const random = uniform(params.seed, tokenIndex);
    if (params.topK === 0 && params.topP === 1) return this.#sampleAll(logits, weightOf, random);
    return this.#sampleLikeliest(logits, weightOf, random, params);
  }

  #sampleAll(logits: Float32Array, weightOf: (logit: number) => number, random: number): number {
    const weights = this.#weights;
    let total = 0;
    for (let id = 0; id < logits.length; id++) {
      const weight = weightOf(logits[id] ?? 0);
      weights[id] = weight;
      total += weight;
    }
    return pick(random * total, logits.length, (id) => weights[id] ?? 0);
  }

  #sampleLikeliest(
    logits: Float32Array,
    weightOf: (logit: number) => number,
    random: number,
    { topK, topP }: SamplingParams,
  ): number {
    const candidates = this.#candidates(logits, weightOf, topK, topP);
    const kept = topK > 0 ? candidates.subarray(0, topK) : candidates;
    let total = 0;
    for (const id of kept) total += weightOf(logits[id] ?? 0);
    let numNucleus = 0;
    let nucleus = 0;
    while (numNucleus < kept.length && nucleus < topP * total)
      nucleus += weightOf(logits[kept[numNucleus++] ?? 0] ?? 0);
    const index = pick(random * nucleus, numNucleus, (i) => weightOf(logits[kept[i] ?? 0] ?? 0));
    return kept[index] ?? 0;
  }

  /** The ids that top-k and top-p may keep, the likeliest first, equals by id. */
  #candidates(logits: Float32Array, weightOf: (logit: number) => number, topK: number, topP: number): Uint32Array {
    const ids = this.#ids;
    const least = topK > 0 ? this.#kthLargest(logits, Math.min(topK, logits.length)) : Number.NEGATIVE_INFINITY;
    // All tokens below this weight together hold less than 1 - topP of the mass (the likeliest alone holds 1): none is in the nucleus.
    const negligible = topK > 0 ? 0 : (1 - topP) / logits.length;
    let count = 0;
    for (let id = 0; id < logits.length; id++) {
      const logit = logits[id] ?? 0;
      if (logit >= least && weightOf(logit) >= negligible) ids[count++] = id;
    }
    return ids.subarray(0, count).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  }

  /** The k-th largest logit, by a heap of the k largest so far with the least on top. */
  #kthLargest(logits: Float32Array, k: number): number {
    const heap = this.#weights.subarray(0, k);
    heap.set(logits.subarray(0, k));
    heap.sort();
    for (let id = k; id < logits.length; id++) {
      const logit = logits[id] ?? 0;
      if (logit > (heap[0] ?? 0)) replaceLeast(heap, logit);
    }
    return heap[0] ?? 0;
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

/** The first index at which the running sum of weights exceeds the target. */
function pick(target: number, count: number, weightAt: (index: number) => number): number {
  let sum = 0;
  let last = 0;
  for (let index = 0; index < count; index++) {
    const weight = weightAt(index);
    if (weight === 0) continue;
    sum += weight;
    if (sum > target) return index;
    last = index;
  }
  return last;
}

/** Puts a value into a min-heap in place of its least. */
function replaceLeast(heap: Float64Array, value: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
    if ((heap[child] ?? 0) >= value) break;
    heap[at] = heap[child] ?? 0;
    at = child;
  }
  heap[at] = value;
}
