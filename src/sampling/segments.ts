/** Tokens of a segment: consecutive ones of a row, of which the sum and the maximum are known. The last segment may have fewer. */
export const segmentSize = 32;

/** A row that tokens are drawn from. The sums and maxima are there because most draws can tell from them where to look. */
export interface WeighedRow {
  /** Adjusted: [vocabulary]. */
  readonly logits: Float32Array;
  /** The softmax of the logits, divided by the temperature: [vocabulary]. */
  readonly weights: Float32Array;
  /** The sum of the weights of each segment: [segments]. */
  readonly sums: Float32Array;
  /** The largest weight of each segment: [segments]. */
  readonly maxima: Float32Array;
}

export function numSegmentsOf(vocabSize: number): number {
  return Math.ceil(vocabSize / segmentSize);
}

/** A row, and what all stages of a draw need to know of it. */
export interface MeasuredRow extends WeighedRow {
  /** All weights together: close to 1 if the logits are finite. */
  readonly mass: number;
  /** The largest weight. */
  readonly largest: number;
}

/** Adds up the sums and finds the largest of the maxima. */
export function measured(row: WeighedRow): MeasuredRow {
  const { sums, maxima } = row;
  let mass = 0;
  let largest = 0;
  for (let segment = 0; segment < sums.length; segment++) {
    mass += sums[segment] ?? 0;
    largest = Math.max(largest, maxima[segment] ?? 0);
  }
  return { ...row, mass, largest };
}

/** Whether weights that add up to this are probabilities. If not, the logits were not finite, or all -Infinity. */
export function isProbability(mass: number): boolean {
  return Math.abs(mass - 1) < 0.1;
}

/** The id at which the running sum of all weights, in the order of the ids, reaches the mass; the last one if rounding keeps it from that. */
export function idReaching(mass: number, { weights, sums }: WeighedRow): number {
  let segment = 0;
  let reached = 0;
  for (let nth = 0, sum = 0; nth < sums.length && sum < mass; nth++) {
    if (sums[nth] === 0) continue;
    segment = nth;
    reached = sum;
    sum += sums[nth] ?? 0;
  }
  let last = 0;
  for (let id = segment * segmentSize; id < weights.length; id++) {
    const weight = weights[id] ?? 0;
    if (weight === 0) continue;
    last = id;
    reached += weight;
    if (reached >= mass) return id;
  }
  return last;
}

/** How many values of a row are larger than a given one. @param maxima of the segments */
export function numLarger(values: Float32Array, maxima: Float32Array, value: number): number {
  let count = 0;
  for (let segment = 0; segment < maxima.length; segment++) {
    if ((maxima[segment] ?? 0) <= value) continue;
    const end = Math.min((segment + 1) * segmentSize, values.length);
    // Five times as fast as a branch, which would often be predicted wrongly.
    for (let id = segment * segmentSize; id < end; id++) count += Number((values[id] ?? 0) > value);
  }
  return count;
}
