// The loops over the vocabulary, where draws spend their time. V8 compiles a constant as a number only if the module does not export it:
// hence `laneLength` next to `numBins`.

/** Tokens are put into bins by the upper bits of their weights as float32: sign, exponent and four bits of the fraction. */
const binShift = 19;
/** The bins of one lane. Probabilities weigh less than 2. */
const laneLength = 0x40000000 >>> binShift;
export const numBins = laneLength;
/** Lighter tokens weigh less than 2^-126 each. They count as impossible. */
export const lightestBin = 0x00800000 >>> binShift;

/** The members of a bin are put into finer bins by the bits that follow. */
const finerShift = 11;
const finerMask = 2 ** (binShift - finerShift) - 1;
export const numFinerBins = finerMask + 1;

/** Tokens by their ids, and the bits of all weights. */
interface BinnedTokens {
  readonly ids: Uint32Array;
  readonly bits: Uint32Array;
}

/** Four lanes: with so many tokens, additions to a single sum would often have to wait for the one before. */
const partialMasses = new Float64Array(4 * laneLength);
const manyTokens = 8192;

/** Sums up the weights of each bin. @param ranges of ids: first and end of each */
export function fillMasses(masses: Float64Array, ranges: Uint32Array, weights: Float32Array, bits: Uint32Array): void {
  let numTokens = 0;
  for (let i = 0; i < ranges.length; i += 2) numTokens += (ranges[i + 1] ?? 0) - (ranges[i] ?? 0);
  if (numTokens < manyTokens) fillFromFew(masses, ranges, weights, bits);
  else fillFromMany(masses, ranges, weights, bits);
}

function fillFromFew(masses: Float64Array, ranges: Uint32Array, weights: Float32Array, bits: Uint32Array): void {
  masses.fill(0);
  for (let i = 0; i < ranges.length; i += 2) {
    const end = ranges[i + 1] ?? 0;
    for (let id = ranges[i] ?? 0; id < end; id++) {
      const bin = (bits[id] ?? 0) >>> binShift;
      masses[bin] = (masses[bin] ?? 0) + (weights[id] ?? 0);
    }
  }
}

/** Four tokens at a time. Only the last range may end in between, and what is read behind the row adds 0 to bin 0. */
function fillFromMany(masses: Float64Array, ranges: Uint32Array, weights: Float32Array, bits: Uint32Array): void {
  const sums = partialMasses.fill(0);
  for (let i = 0; i < ranges.length; i += 2) {
    const end = ranges[i + 1] ?? 0;
    for (let id = ranges[i] ?? 0; id < end; id += 4) {
      let at = (bits[id] ?? 0) >>> binShift;
      sums[at] = (sums[at] ?? 0) + (weights[id] ?? 0);
      at = laneLength + ((bits[id + 1] ?? 0) >>> binShift);
      sums[at] = (sums[at] ?? 0) + (weights[id + 1] ?? 0);
      at = 2 * laneLength + ((bits[id + 2] ?? 0) >>> binShift);
      sums[at] = (sums[at] ?? 0) + (weights[id + 2] ?? 0);
      at = 3 * laneLength + ((bits[id + 3] ?? 0) >>> binShift);
      sums[at] = (sums[at] ?? 0) + (weights[id + 3] ?? 0);
    }
  }
  addPartial(masses, sums);
}

function addPartial(masses: Float64Array, sums: Float64Array): void {
  for (let bin = 0; bin < laneLength; bin++) {
    const first = (sums[bin] ?? 0) + (sums[laneLength + bin] ?? 0);
    masses[bin] = first + ((sums[2 * laneLength + bin] ?? 0) + (sums[3 * laneLength + bin] ?? 0));
  }
}

/** Counts the members of each bin. */
export function fillCounts(counts: Float64Array, ranges: Uint32Array, bits: Uint32Array): void {
  counts.fill(0);
  for (let i = 0; i < ranges.length; i += 2) {
    const first = ranges[i] ?? 0;
    const end = ranges[i + 1] ?? 0;
    for (let id = first; id < end; id++) {
      const bin = (bits[id] ?? 0) >>> binShift;
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
  }
}

/** Writes the ids of the members of the wanted bins. @returns how many */
export function gather(ids: Uint32Array, ranges: Uint32Array, bits: Uint32Array, isWanted: Uint8Array): number {
  let numIds = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const first = ranges[i] ?? 0;
    const end = ranges[i + 1] ?? 0;
    // Every id is written, and overwritten if it is not wanted: a branch would often be predicted wrongly.
    for (let id = first; id < end; id++) {
      ids[numIds] = id;
      numIds += isWanted[(bits[id] ?? 0) >>> binShift] ?? 0;
    }
  }
  return numIds;
}

/** Those of the tokens that are in the bin. */
export function membersOf(bin: number, tokens: BinnedTokens): Uint32Array {
  return membersAt(binShift, bin, tokens);
}

/** Those of the bin's members that are in its finer bin. */
export function finerMembersOf(bin: number, finerBin: number, members: BinnedTokens): Uint32Array {
  return membersAt(finerShift, bin * numFinerBins + finerBin, members);
}

function membersAt(shift: number, bin: number, { ids, bits }: BinnedTokens): Uint32Array {
  const members = new Uint32Array(ids.length);
  let numMembers = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    members[numMembers] = id;
    numMembers += Number((bits[id] ?? 0) >>> shift === bin);
  }
  return members.subarray(0, numMembers);
}

const finerMasses = new Float64Array(numFinerBins);

/** The sums of the weights in each finer bin of one bin. Valid until the next call. */
export function finerMassesOf({ ids, bits }: BinnedTokens, weights: Float32Array): Float64Array {
  finerMasses.fill(0);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    const finerBin = ((bits[id] ?? 0) >>> finerShift) & finerMask;
    finerMasses[finerBin] = (finerMasses[finerBin] ?? 0) + (weights[id] ?? 0);
  }
  return finerMasses;
}

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** The bin of a token of this weight. */
export function binOf(weight: number): number {
  float[0] = weight;
  return (floatBits[0] ?? 0) >>> binShift;
}

/** The smallest weight in a bin. */
export function weightOfBin(bin: number): number {
  floatBits[0] = bin << binShift;
  return float[0] ?? 0;
}
