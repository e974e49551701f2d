import type { RowSampling, SamplingParams } from '../core/index.ts';
import type { LogitsAdjuster } from './adjuster.ts';
import { type LikeliestTokens, restrictListed } from './likeliest-tokens.ts';
import { logitBias } from './logit-bias.ts';
import { allowedTokens, bannedTokens } from './masks.ts';
import { neededWeight } from './needed-weight.ts';
import { outputPenalties, repetitionPenalty } from './penalties.ts';
import { uniform } from './random.ts';
import { type Prefix, RankedTokens } from './ranked-tokens.ts';
import { restrict } from './restrict.ts';
import { idReaching, isProbability, type MeasuredRow, measured, type WeighedRow } from './segments.ts';
import { sumOf } from './select.ts';
import { TypicalTokens } from './typical-p.ts';

/** Below this temperature the most likely token is practically certain, and dividing by it would overflow. */
const greedyBelow = 1e-5;

/** The most likely tokens that a device hands to the host for a row; usually more than top-k and top-p keep. */
export const maxLikeliest = 512;

/** Instead of 0, which even an impossible token reaches. Random numbers are multiples of 2^-53. */
const tiny = 2 ** -60;

/** Keeps rounding from reaching a token behind the last one. */
const justBelowOne = 1 - 1e-12;

/** Which of a row's logits the sampler has to see: only the index of the largest one, the {@link maxLikeliest} most likely, or all. */
export type NeededLogits = 'best' | 'few' | 'all';

/** Why no token can be drawn: some logits are NaN or +Infinity, or all are -Infinity. */
export type Undrawable = 'not finite' | 'all masked';

/** Draws the next tokens of a row: one for each of its choices. */
export interface TokenSampler {
  needs(sampling: RowSampling): NeededLogits;
  /** Whether {@link adjust} changes anything. */
  adjusts(sampling: RowSampling): boolean;
  /** @param logits of one row, [vocabulary], changed in place */
  adjust(logits: Float32Array, sampling: RowSampling): void;
  draw(row: WeighedRow, sampling: RowSampling): readonly number[] | Undrawable;
  /** The same for a row that needs few tokens. @returns undefined if it turns out that other tokens are needed, too */
  drawAmong(likeliest: LikeliestTokens, sampling: RowSampling): readonly number[] | undefined;
}

/**
 * The stages of sampling in the order of Hugging Face transformers: see docs/sampling.md. Scratch memory is allocated once, so that
 * drawing a token usually costs no allocation of the vocabulary's size.
 */
export class Sampler implements TokenSampler {
  readonly #vocabSize: number;
  readonly #adjusters: readonly LogitsAdjuster[];
  readonly #tokens: RankedTokens;
  readonly #typical: TypicalTokens;

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
    this.#adjusters = [
      logitBias,
      repetitionPenalty(vocabSize),
      outputPenalties(vocabSize),
      bannedTokens,
      allowedTokens,
    ];
    this.#tokens = new RankedTokens(vocabSize);
    this.#typical = new TypicalTokens(vocabSize);
  }

  needs(sampling: RowSampling): NeededLogits {
    const { params } = sampling;
    if (this.adjusts(sampling)) return 'all';
    if (isGreedy(params)) return 'best';
    const isFew = params.topK > 0 ? params.topK < maxLikeliest : params.topP < 1 || params.minP > 0;
    return isFew && params.typicalP >= 1 ? 'few' : 'all';
  }

  adjusts(sampling: RowSampling): boolean {
    return this.#adjusters.some((adjuster) => adjuster.appliesTo(sampling));
  }

  adjust(logits: Float32Array, sampling: RowSampling): void {
    for (const adjuster of this.#adjusters) if (adjuster.appliesTo(sampling)) adjuster.adjust(logits, sampling);
  }

  draw(weighed: WeighedRow, sampling: RowSampling): readonly number[] | Undrawable {
    const { params, choices } = sampling;
    const row = measured(weighed);
    if (!isProbability(row.mass)) return whyUndrawable(row.logits);
    if (isGreedy(params)) {
      const best = argmax(row.logits);
      return choices.map(() => best);
    }
    const numbers = numbersOf(sampling);
    if (params.typicalP < 1) return this.#drawTypical(row, params, numbers);
    if (!isRestricted(params)) return numbers.map((number) => idReaching(number * row.mass, row));
    const kept = this.#restrict(row, params, numbers);
    const masses = numbers.map((number) => number * kept.mass);
    this.#tokens.prepare(masses);
    return masses.map((mass) => this.#tokens.ofMass(mass).lastId);
  }

  #drawTypical(row: MeasuredRow, params: SamplingParams, numbers: readonly number[]): number[] {
    const { logits } = row;
    const weights = isRestricted(params) ? this.#weightsLeft(row, params) : row.weights;
    const ids = this.#typical.of({ logits, weights }, params);
    const mass = sumOf(ids, weights);
    return numbers.map((number) => reaching(number * mass, ids, weights));
  }

  /** The weights, and 0 for tokens that top-k, top-p and min-p do not leave. */
  #weightsLeft(row: MeasuredRow, params: SamplingParams): Float32Array {
    const weights = new Float32Array(this.#vocabSize);
    const ids = this.#tokens.ids(this.#restrict(row, params, []));
    for (let i = 0; i < ids.length; i++) weights[ids[i] ?? 0] = row.weights[ids[i] ?? 0] ?? 0;
    return weights;
  }

  /** The tokens that top-k, top-p and min-p leave. @param numbers that tokens are going to be drawn with */
  #restrict(row: MeasuredRow, params: SamplingParams, numbers: readonly number[]): Prefix {
    this.#tokens.load(row, neededWeight(row, params));
    this.#prepare(params, numbers);
    return restrict(this.#tokens, params);
  }

  /** Looks in one pass at the tokens that will be needed: it is known roughly where they are, unless top-k comes first. */
  #prepare({ topK, topP, minP }: SamplingParams, numbers: readonly number[]): void {
    const mass = Math.min(1, topP) * this.#tokens.all.mass;
    const shares = minP > 0 ? [minP] : [];
    const last = topP < 1 ? [mass] : [];
    this.#tokens.prepare(topK > 0 ? [] : [...last, ...numbers.map((number) => number * mass)], shares);
  }

  drawAmong(likeliest: LikeliestTokens, sampling: RowSampling): readonly number[] | undefined {
    const kept = restrictListed(likeliest, sampling.params, this.#vocabSize);
    if (kept === undefined) return undefined;
    const { tokens, mass } = kept;
    return numbersOf(sampling).map((number) => tokens.find(({ reached }) => reached >= number * mass)?.id ?? 0);
  }
}

function isRestricted({ topK, topP, minP }: SamplingParams): boolean {
  return topK > 0 || topP < 1 || minP > 0;
}

/** The random numbers of a row's choices: in (0, 1). */
function numbersOf({ params, tokenIndex, choices }: RowSampling): number[] {
  return choices.map((choice) => Math.max(uniform(params.seed, tokenIndex, choice), tiny) * justBelowOne);
}

export function isGreedy({ temperature }: SamplingParams): boolean {
  return temperature < greedyBelow;
}

/** The id at which the running sum of weights reaches the mass. */
function reaching(mass: number, ids: Uint32Array, weights: Float32Array): number {
  let reached = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    reached += weights[id] ?? 0;
    if (reached >= mass) return id;
  }
  return ids.at(-1) ?? 0;
}

/** The index of the largest logit; the first one of equals. */
function argmax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] ?? 0) > (logits[best] ?? 0)) best = id;
  return best;
}

function whyUndrawable(logits: Float32Array): Undrawable {
  return logits.every((logit) => logit === Number.NEGATIVE_INFINITY) ? 'all masked' : 'not finite';
}
