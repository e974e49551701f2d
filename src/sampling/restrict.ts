import type { SamplingParams } from '../core/index.ts';
import type { Prefix, RankedTokens } from './ranked-tokens.ts';

/** A stage of sampling that keeps fewer of the most likely tokens, or the same if the parameters do not ask for it. */
type Restriction = (kept: Prefix, tokens: RankedTokens, params: SamplingParams) => Prefix;

/** Keeps the `topK` most likely tokens, and those that are as likely as the last of them. */
const topK: Restriction = (kept, tokens, params) => (params.topK === 0 ? kept : tokens.ofCount(params.topK));

/** Keeps the fewest of the most likely tokens that together hold the share `topP` of the mass. */
const topP: Restriction = (kept, tokens, params) => (params.topP >= 1 ? kept : tokens.ofMass(params.topP * kept.mass));

/** Keeps the tokens that are at least the share `minP` as likely as the most likely one. */
const minP: Restriction = (kept, tokens, params) =>
  params.minP === 0 ? kept : narrower(kept, tokens.ofShare(params.minP));

/** The most likely tokens that all stages keep. */
export function restrict(tokens: RankedTokens, params: SamplingParams): Prefix {
  return [topK, topP, minP].reduce((kept, stage) => stage(kept, tokens, params), tokens.all);
}

function narrower(a: Prefix, b: Prefix): Prefix {
  if (a.logit !== b.logit) return a.logit > b.logit ? a : b;
  return a.lastId <= b.lastId ? a : b;
}
