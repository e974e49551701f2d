import type { SamplingParams } from '../core/index.ts';

/** The tokens that a row may still draw. Ids and weights are views of scratch memory, valid until the next row. */
export interface Candidates {
  readonly ids: Uint32Array;
  /** Whether the ids ascend. */
  readonly isSorted: boolean;
  /** By token id, relative to the likeliest token, whose weight is 1. Valid only for `ids`. */
  readonly weights: Float64Array;
  /** What top-p takes a share of: the weights of all tokens together, or of those that top-k has left. */
  readonly mass: number;
}

/** A stage of sampling that leaves fewer candidates, or the same if the parameters do not ask for it. */
export type Restriction = (candidates: Candidates, params: SamplingParams) => Candidates;

export function sumOf(ids: Uint32Array, weights: Float64Array): number {
  let sum = 0;
  for (const id of ids) sum += weights[id] ?? 0;
  return sum;
}

/**
 * Moves the likeliest ids to the front: the fewest that reach the count or the mass, whichever is fewer. Of equally likely tokens, the
 * smaller id counts as likelier. Quickselect, linear on average.
 * @returns those ids
 */
export function selectLikeliest(
  ids: Uint32Array,
  weights: Float64Array,
  enough: { readonly count: number; readonly mass: number },
): Uint32Array {
  let low = 0;
  let high = ids.length;
  let massBelowLow = 0;
  while (low < high) {
    const pivot = partition(ids, weights, low, high);
    const massBelow = massBelowLow + sumOf(ids.subarray(low, pivot), weights);
    const massWith = massBelow + (weights[ids[pivot] ?? 0] ?? 0);
    if (pivot >= enough.count || massBelow >= enough.mass) {
      high = pivot;
    } else if (pivot + 1 >= enough.count || massWith >= enough.mass) {
      return ids.subarray(0, pivot + 1);
    } else {
      low = pivot + 1;
      massBelowLow = massWith;
    }
  }
  return ids.subarray(0, low);
}

/** Moves the ids of a range that are likelier than its middle one in front of it. @returns the new place of the middle one */
function partition(ids: Uint32Array, weights: Float64Array, low: number, high: number): number {
  const middle = (low + high) >> 1;
  const pivot = ids[middle] ?? 0;
  const pivotWeight = weights[pivot] ?? 0;
  ids[middle] = ids[high - 1] ?? 0;
  let at = low;
  for (let i = low; i < high - 1; i++) {
    const id = ids[i] ?? 0;
    const weight = weights[id] ?? 0;
    if (weight > pivotWeight || (weight === pivotWeight && id < pivot)) {
      ids[i] = ids[at] ?? 0;
      ids[at++] = id;
    }
  }
  ids[high - 1] = ids[at] ?? 0;
  ids[at] = pivot;
  return at;
}
