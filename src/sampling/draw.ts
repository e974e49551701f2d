import type { RowSampling } from '../core/index.ts';
import { type Candidates, sumOf } from './candidates.ts';
import { uniform } from './random.ts';

/** Draws a token with the random number that belongs to the seed and the token's index. */
export function draw({ ids, isSorted, weights }: Candidates, { params, tokenIndex }: RowSampling): number {
  const sorted = isSorted ? ids : ids.sort();
  return pick(sorted, weights, uniform(params.seed, tokenIndex) * sumOf(sorted, weights));
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
