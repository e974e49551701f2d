import type { SamplingParams } from '../core/index.ts';
import { binOf, numBins, weightOfBin } from './bins.ts';
import { type MeasuredRow, segmentSize, type WeighedRow } from './segments.ts';

/** Shares of the largest weight that are tried as a bound. Distributions are either steep, and one of the first will do, or flat. */
const triedShares = [2 ** -3, 2 ** -6, 2 ** -10, 2 ** -15, 2 ** -20];

/** Covers rounding in the sums of segments. */
const margin = 1e-4;

/**
 * A lower bound on the weight of every token that the parameters may keep, found from the segments alone: segments whose maximum is smaller
 * need not be looked at. 0 if there is no bound that would save much.
 */
export function neededWeight(row: MeasuredRow, { topK, topP, minP }: SamplingParams): number {
  if (topK > 0) return weightOfLargest(topK, row);
  return Math.max(topP < 1 ? weightOfMass(topP * row.mass, row) : 0, minP * row.largest);
}

/** A weight that so many tokens reach, since the maxima of as many segments do. */
function weightOfLargest(count: number, { maxima }: WeighedRow): number {
  const counts = new Uint32Array(numBins);
  for (let segment = 0; segment < maxima.length; segment++) {
    const bin = binOf(maxima[segment] ?? 0);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  let numReached = 0;
  for (let bin = numBins - 1; bin > 0; bin--) {
    numReached += counts[bin] ?? 0;
    if (numReached >= count) return weightOfBin(bin);
  }
  return 0;
}

/** A weight such that the tokens of at least this weight hold the mass; 0 if none is found. */
function weightOfMass(mass: number, row: MeasuredRow): number {
  for (const share of triedShares) {
    const weight = share * row.largest;
    const reached = reachedAtLeast(weight, row);
    if (reached.numSegments > row.sums.length / 2) return 0;
    if (reached.mass >= mass + margin) return weight;
  }
  return 0;
}

/** The mass that tokens of at least this weight have at least, and the segments that they are in. */
function reachedAtLeast(
  weight: number,
  { sums, maxima }: WeighedRow,
): { readonly mass: number; readonly numSegments: number } {
  const most = (segmentSize - 1) * weight;
  let mass = 0;
  let numSegments = 0;
  for (let segment = 0; segment < sums.length; segment++) {
    const largest = maxima[segment] ?? 0;
    if (largest < weight) continue;
    numSegments++;
    // All but the largest may be lighter, and then they have less than this together.
    mass += Math.max(largest, (sums[segment] ?? 0) - most);
  }
  return { mass, numSegments };
}
