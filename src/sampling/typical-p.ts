import { selectLargest, sumOf } from './select.ts';

/**
 * Keeps the most typical tokens that together hold the share `typicalP` of the mass, and those that are as typical as the last of them. A
 * token is typical if its information, -ln p, is close to the expected one, the entropy.
 * Source: Meister et al., "Locally typical sampling", TACL 2023
 * @param ids ascending
 * @returns the ids that are kept, ascending
 */
export function typical(ids: Uint32Array, weights: Float32Array, typicalP: number): Uint32Array {
  const possible = idsWhere(ids, (id) => (weights[id] ?? 0) > 0);
  const mass = sumOf(possible, weights);
  const keys = new Float64Array(weights.length);
  let entropy = 0;
  for (let i = 0; i < possible.length; i++) {
    const id = possible[i] ?? 0;
    const probability = (weights[id] ?? 0) / mass;
    const information = -Math.log(probability);
    keys[id] = information;
    entropy += probability * information;
  }
  for (let i = 0; i < possible.length; i++) {
    const id = possible[i] ?? 0;
    keys[id] = -Math.abs((keys[id] ?? 0) - entropy);
  }
  const last = selectLargest({ ids: possible.slice(), keys, weights }, { mass: typicalP * mass }).at(-1) ?? 0;
  const leastTypical = keys[last] ?? 0;
  return idsWhere(possible, (id) => (keys[id] ?? 0) >= leastTypical);
}

/** Like `filter`, but several times as fast. */
function idsWhere(ids: Uint32Array, isKept: (id: number) => boolean): Uint32Array {
  const kept = new Uint32Array(ids.length);
  let numKept = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    if (isKept(id)) kept[numKept++] = id;
  }
  return kept.subarray(0, numKept);
}
