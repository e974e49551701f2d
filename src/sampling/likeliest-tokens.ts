import type { SamplingParams } from '../core/index.ts';

/** The most likely tokens of a row, the most likely first. */
export interface LikeliestTokens {
  readonly ids: ArrayLike<bigint>;
  readonly logits: Float32Array;
  /** The sum of exp((logit - largest) / temperature) over all tokens of the row. */
  readonly total: number;
}

/** A token, with the weights of all tokens up to and including it. */
interface ListedToken {
  readonly id: number;
  readonly logit: number;
  readonly weight: number;
  readonly reached: number;
}

/** Tokens that a draw chooses among. */
export interface ListedTokens {
  readonly tokens: readonly ListedToken[];
  readonly mass: number;
}

/**
 * What top-k, top-p and min-p leave of a row, if the list has all of it.
 * @returns undefined if other tokens may be left, too
 */
export function restrictListed(
  { ids, logits, total }: LikeliestTokens,
  { temperature, topK, topP, minP }: SamplingParams,
  vocabSize: number,
): ListedTokens | undefined {
  let kept = listed(ids, logits, temperature);
  const isCut = kept.length < vocabSize;
  const leastListed = kept.at(-1)?.logit;
  if (Number.isNaN(total) || (isCut && topK > kept.length)) return undefined;
  let mass = total;
  if (topK > 0) {
    const least = kept[Math.min(topK, kept.length) - 1]?.logit ?? 0;
    // Top-k keeps all tokens that are as likely as the last of them, and the list may lack some.
    if (isCut && least === leastListed) return undefined;
    kept = kept.filter(({ logit }) => logit >= least);
    mass = kept.at(-1)?.reached ?? 0;
  }
  const last = kept.findIndex(({ reached }) => reached >= topP * mass);
  if (topP < 1 && last >= 0) kept = kept.slice(0, last + 1);
  kept = kept.filter(({ weight }) => weight >= minP);
  // Tokens that are as likely as the last of the list may be missing in it, and one of them may come before it.
  const lastKept = kept.at(-1);
  if (lastKept === undefined || (isCut && lastKept.logit === leastListed)) return undefined;
  return { tokens: kept, mass: lastKept.reached };
}

function listed(ids: ArrayLike<bigint>, logits: Float32Array, temperature: number): ListedToken[] {
  const largest = logits[0] ?? 0;
  const tokens = Array.from(logits, (logit, i) => ({ id: Number(ids[i]), logit }));
  tokens.sort((a, b) => b.logit - a.logit || a.id - b.id);
  let reached = 0;
  return tokens.map(({ id, logit }) => {
    const weight = Math.exp((logit - largest) / temperature);
    reached += weight;
    return { id, logit, weight, reached };
  });
}
