import type { RowSampling, SampledToken, SamplingParams } from '../core/index.ts';
import type { Candidates, Restriction } from './candidates.ts';
import { draw } from './draw.ts';
import { topK } from './top-k.ts';
import { topP } from './top-p.ts';

/** Below this temperature the likeliest token is practically certain, and dividing by it would overflow. */
const greedyBelow = 1e-5;

/** The likeliest tokens that a device hands to the host for a row; usually more than top-k and top-p keep. */
export const maxLikeliest = 512;

/** A stage of sampling that changes logits: a penalty, a bias, a mask. */
export interface LogitsAdjuster {
  /** Whether the row asks for it. */
  appliesTo(sampling: RowSampling): boolean;
  /** @param logits of one row, [vocabulary], changed in place */
  adjust(logits: Float32Array, sampling: RowSampling): void;
}

/** What happens to a row's logits before a token is drawn: every adjuster, then every restriction, in this order. */
export interface SamplingStages {
  readonly adjusters: readonly LogitsAdjuster[];
  readonly restrictions: readonly Restriction[];
}

const defaultStages: SamplingStages = { adjusters: [], restrictions: [topK, topP] };

/** Which of a row's logits the sampler has to see: only the largest one, the {@link maxLikeliest} likeliest, or all. */
export type NeededLogits = 'best' | 'few' | 'all';

/** Draws the next token of a row. */
export interface TokenSampler {
  needs(sampling: RowSampling): NeededLogits;
  /**
   * @param logits of one row, [vocabulary]; may be changed
   * @returns undefined if no token can be drawn: the logits are not finite numbers
   */
  sample(logits: Float32Array, sampling: RowSampling): SampledToken | undefined;
  /** The same for a row that needs few logits. @returns undefined if it turns out that other tokens are needed too */
  sampleAmong(likeliest: LikeliestTokens, sampling: RowSampling): SampledToken | undefined;
}

/** The likeliest tokens of a row, the likeliest first. */
export interface LikeliestTokens {
  readonly ids: ArrayLike<bigint>;
  readonly logits: Float32Array;
  /** The sum of exp((logit - largest) / temperature) over all tokens of the row. */
  readonly total: number;
}

/**
 * Adjusts logits, divides them by the temperature, restricts the candidates and draws one, as Hugging Face transformers does.
 * Of equally likely tokens, the smaller id counts as likelier.
 * Scratch memory is allocated once, so no token costs an allocation of the vocabulary's size.
 */
export class Sampler implements TokenSampler {
  readonly #stages: SamplingStages;
  readonly #weights: Float64Array;
  readonly #ids: Uint32Array;

  constructor(vocabSize: number, stages: SamplingStages = defaultStages) {
    this.#stages = stages;
    this.#weights = new Float64Array(vocabSize);
    this.#ids = new Uint32Array(vocabSize);
  }

  needs(sampling: RowSampling): NeededLogits {
    const { params } = sampling;
    if (this.#stages.adjusters.some((adjuster) => adjuster.appliesTo(sampling))) return 'all';
    if (isGreedy(params)) return 'best';
    const isFew = params.topK > 0 ? params.topK < maxLikeliest : params.topP < 1;
    return isFew ? 'few' : 'all';
  }

  sample(logits: Float32Array, sampling: RowSampling): SampledToken | undefined {
    for (const adjuster of this.#stages.adjusters) {
      if (adjuster.appliesTo(sampling)) adjuster.adjust(logits, sampling);
    }
    const { params } = sampling;
    const best = argmax(logits);
    const max = logits[best] ?? Number.NaN;
    if (!Number.isFinite(max)) return undefined;
    if (isGreedy(params)) return { id: best };
    const candidates = this.#weigh(logits, max, params.temperature);
    if (Number.isNaN(candidates.mass)) return undefined;
    return { id: draw(this.#restrict(candidates, params), sampling) };
  }

  sampleAmong({ ids, logits, total }: LikeliestTokens, sampling: RowSampling): SampledToken | undefined {
    const { temperature, topK, topP } = sampling.params;
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
    const few = { ids: this.#ids.subarray(0, logits.length), isSorted: false, weights: this.#weights, mass: total };
    const kept = this.#restrict(few, sampling.params);
    // Tokens that are as likely as the last one may have been left out, and one of them may come before it.
    const isCut = logits.length < this.#weights.length;
    if (isCut && kept.ids.some((id) => this.#weights[id] === this.#weights[last])) return undefined;
    return { id: draw(kept, sampling) };
  }

  #weigh(logits: Float32Array, max: number, temperature: number): Candidates {
    const ids = this.#ids;
    const weights = this.#weights;
    let mass = 0;
    for (let id = 0; id < weights.length; id++) {
      const weight = Math.exp(((logits[id] ?? 0) - max) / temperature);
      ids[id] = id;
      weights[id] = weight;
      mass += weight;
    }
    return { ids, isSorted: true, weights, mass };
  }

  #restrict(candidates: Candidates, params: SamplingParams): Candidates {
    return this.#stages.restrictions.reduce((kept, restrict) => restrict(kept, params), candidates);
  }
}

function isGreedy({ temperature }: SamplingParams): boolean {
  return temperature < greedyBelow;
}

/** The index of the largest logit; the first one of equals. */
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
