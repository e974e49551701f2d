/** Tokens of one row, by their ids. */
export interface RowTokens {
  /** Any order. */
  readonly ids: Uint32Array;
  /** What they are ranked by, by token id. */
  readonly keys: Float32Array | Float64Array;
  /** By token id. */
  readonly weights: Float32Array;
}

export function sumOf(ids: Uint32Array, weights: Float32Array): number {
  let sum = 0;
  // Faster than `for … of`.
  for (let i = 0; i < ids.length; i++) sum += weights[ids[i] ?? 0] ?? 0;
  return sum;
}

/**
 * Moves the ids with the largest keys to the front: the fewest that reach the count or the mass, whichever is fewer. Of equal keys, the
 * smaller id counts as larger. Quickselect, linear on average.
 * @returns those ids; the last of them has the smallest key
 */
export function selectLargest(
  { ids, keys, weights }: RowTokens,
  { count = Number.POSITIVE_INFINITY, mass = Number.POSITIVE_INFINITY },
): Uint32Array {
  let low = 0;
  let high = ids.length;
  let massBelowLow = 0;
  while (low < high) {
    const pivot = partition(ids, keys, low, high);
    const massBelow = massBelowLow + sumOf(ids.subarray(low, pivot), weights);
    const massWith = massBelow + (weights[ids[pivot] ?? 0] ?? 0);
    if (pivot >= count || massBelow >= mass) {
      high = pivot;
    } else if (pivot + 1 >= count || massWith >= mass) {
      return ids.subarray(0, pivot + 1);
    } else {
      low = pivot + 1;
      massBelowLow = massWith;
    }
  }
  return ids.subarray(0, low);
}

/** Moves the ids of a range whose keys are larger than that of its middle one in front of it. @returns the new place of the middle one */
function partition(ids: Uint32Array, keys: Float32Array | Float64Array, low: number, high: number): number {
  const middle = (low + high) >> 1;
  const pivot = ids[middle] ?? 0;
  const pivotKey = keys[pivot] ?? 0;
  ids[middle] = ids[high - 1] ?? 0;
  let at = low;
  for (let i = low; i < high - 1; i++) {
    const id = ids[i] ?? 0;
    const key = keys[id] ?? 0;
    if (key > pivotKey || (key === pivotKey && id < pivot)) {
      ids[i] = ids[at] ?? 0;
      ids[at++] = id;
    }
  }
  ids[high - 1] = ids[at] ?? 0;
  ids[at] = pivot;
  return at;
}
