import { type Candidates, type Restriction, selectLikeliest } from './candidates.ts';

/** Keeps the likeliest tokens that together hold the share `topP` of the mass. */
export const topP: Restriction = (candidates, params) => {
  if (params.topP >= 1) return candidates;
  const { weights, mass } = candidates;
  const enough = { count: Number.POSITIVE_INFINITY, mass: params.topP * mass };
  const ids = selectLikeliest(withoutNegligible(candidates, params.topP), weights, enough);
  return { ids, isSorted: false, weights, mass };
};

/**
 * Most of a vocabulary is far too unlikely to be kept; finding that out by one comparison is cheaper than selecting.
 * All tokens below this weight together hold less than 1 - topP of the mass, so none of them can be kept.
 */
function withoutNegligible({ ids, weights, mass }: Candidates, topP: number): Uint32Array {
  if (ids.length < weights.length) return ids;
  const negligible = ((1 - topP) * mass) / weights.length;
  let numKept = 0;
  for (const id of ids) if ((weights[id] ?? 0) >= negligible) ids[numKept++] = id;
  return ids.subarray(0, numKept);
}
