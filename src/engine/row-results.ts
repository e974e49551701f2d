import {
  EngineError,
  NoTokenError,
  type RowOutput,
  type RowResult,
  ServingError,
  type TokenLogprobs,
} from '../core/index.ts';
import type { Undrawable } from '../sampling/index.ts';
import type { LogitRows } from './logit-rows.ts';
import type { Sampled } from './row-sampler.ts';

/** The results of the rows of a run that got logits, by their places in the step. */
export function rowResults(plan: LogitRows, { drawn, logprobs }: Sampled): ReadonlyMap<number, RowResult> {
  const results = new Map<number, RowResult>();
  for (const row of plan.scored) results.set(row.index, scoresOf(logprobs.get(row) ?? []));
  for (const row of plan.drawn) {
    const scored = results.get(row.index);
    if (scored instanceof ServingError) continue;
    results.set(row.index, tokensOf(drawn.get(row) ?? [], logprobs.get(row), scored));
  }
  return results;
}

function scoresOf(scores: readonly TokenLogprobs[]): RowResult {
  return scores.some(({ logprob }) => Number.isNaN(logprob)) ? undrawable('not finite') : { tokens: [], scores };
}

function tokensOf(
  ids: readonly number[] | Undrawable,
  logprobs: readonly TokenLogprobs[] | undefined,
  scored: RowOutput | undefined,
): RowResult {
  if (typeof ids === 'string') return undrawable(ids);
  if (logprobs?.some(({ logprob }) => Number.isNaN(logprob))) return undrawable('not finite');
  const tokens = ids.map((id, i) => {
    const found = logprobs?.[i];
    return found === undefined ? { id } : { id, logprobs: found };
  });
  return { ...scored, tokens };
}

function undrawable(reason: Undrawable): EngineError | NoTokenError {
  switch (reason) {
    case 'not finite':
      return new EngineError('the model computed logits that are not finite numbers');
    case 'all masked':
      return new NoTokenError();
  }
}
