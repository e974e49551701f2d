import { type Restriction, selectLikeliest, sumOf } from './candidates.ts';

/** Keeps the `topK` likeliest tokens. */
export const topK: Restriction = (candidates, params) => {
  if (params.topK === 0) return candidates;
  const { weights } = candidates;
  const ids = selectLikeliest(candidates.ids, weights, { count: params.topK, mass: Number.POSITIVE_INFINITY });
  return { ids, isSorted: false, weights, mass: sumOf(ids, weights) };
};
