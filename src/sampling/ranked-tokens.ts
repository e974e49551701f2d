import { type RowTokens, selectLargest, sumOf } from './select.ts';
import { isProbability } from './weight-blocks.ts';

/** Tokens are put into bins by the upper bits of their weights as float32: sign, exponent and four bits of the fraction. */
const binShift = 19;
/** Probabilities weigh less than 2. */
const numBins = 0x40000000 >>> binShift;
/** Lighter tokens weigh less than 2^-126 each. They count as impossible. */
const lightestBin = 0x00800000 >>> binShift;

/** The first tokens of a row: those above a logit, and of those with this logit, the ids up to `lastId`. */
export interface Prefix {
  /** Their weights together. */
  readonly mass: number;
  readonly logit: number;
  readonly lastId: number;
}

/** A bin, and the sum over the bins in front of it: of their weights, or of their counts. */
interface BinPlace {
  readonly bin: number;
  readonly before: number;
}

/**
 * The tokens of a row from the likeliest to the least likely, without sorting them. Of equally likely tokens, the smaller id comes first.
 * One pass over the vocabulary puts tokens into bins. After that, only the members of a few bins are looked at.
 */
export class RankedTokens {
  readonly #masses = new Float64Array(numBins);
  readonly #counts = new Float64Array(numBins);
  readonly #isWanted = new Uint8Array(numBins);
  readonly #ids: Uint32Array;
  /** The ids of bins that have been looked at. */
  readonly #members = new Map<number, Uint32Array>();
  #logits: Float32Array = new Float32Array();
  #weights: Float32Array = new Float32Array();
  /** The weights' bits. */
  #bits: Uint32Array = new Uint32Array();
  /** The bins that have members, the likeliest first. */
  readonly #filled = new Uint16Array(numBins);
  #numFilled = 0;
  #mass = 0;

  constructor(vocabSize: number) {
    this.#ids = new Uint32Array(vocabSize);
  }

  /**
   * @param logits of one row, [vocabulary]. They decide the order
   * @param weights the softmax of the logits, divided by any temperature
   * @returns false if the weights are no probabilities: the logits are not finite, or all -Infinity
   */
  load(logits: Float32Array, weights: Float32Array): boolean {
    this.#logits = logits;
    this.#weights = weights;
    this.#bits = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
    this.#members.clear();
    fillMasses(this.#masses, weights, this.#bits);
    this.#numFilled = 0;
    this.#mass = 0;
    for (let bin = numBins - 1; bin >= lightestBin; bin--) {
      const mass = this.#masses[bin] ?? 0;
      if (mass === 0) continue;
      this.#filled[this.#numFilled++] = bin;
      this.#mass += mass;
    }
    return isProbability(this.#mass);
  }

  /** All possible tokens. */
  get all(): Prefix {
    return { mass: this.#mass, logit: Number.NEGATIVE_INFINITY, lastId: -1 };
  }

  /** The `count` likeliest tokens, and those that are as likely as the last of them. */
  ofCount(count: number): Prefix {
    fillCounts(this.#counts, this.#bits);
    const place = this.#placeWhere(this.#counts, (numTokens) => numTokens >= count);
    if (place === undefined) return this.all;
    const { bin, before } = place;
    const members = this.#membersOf(bin);
    const last = selectLargest(members, { count: count - before }).at(-1) ?? 0;
    const logit = this.#logits[last] ?? 0;
    const kept = members.ids.filter((id) => (this.#logits[id] ?? 0) >= logit);
    return { mass: this.#massBefore(bin) + sumOf(kept, this.#weights), logit, lastId: Number.POSITIVE_INFINITY };
  }

  /** The fewest of the likeliest tokens, at least one, that reach the mass. */
  ofMass(mass: number): Prefix {
    const { bin, before } = this.#placeOfMass(mass);
    const kept = selectLargest(this.#membersOf(bin), { mass: Math.max(mass - before, Number.MIN_VALUE) });
    const lastId = kept.at(-1) ?? 0;
    return { mass: before + sumOf(kept, this.#weights), logit: this.#logits[lastId] ?? 0, lastId };
  }

  /** The tokens that weigh at least this share of the heaviest. */
  ofShare(share: number): Prefix {
    const [heaviest = 0] = selectLargest(this.#membersOf(this.#filled[0] ?? 0), { count: 1 });
    const least = share * (this.#weights[heaviest] ?? 0);
    const place = this.#placeWhere(this.#masses, (_, bin) => bin <= binOf(least));
    if (place === undefined) return this.all;
    const { ids } = this.#membersOf(place.bin);
    const kept = ids.filter((id) => (this.#weights[id] ?? 0) >= least);
    const others = ids.filter((id) => (this.#weights[id] ?? 0) < least);
    const logit = others.reduce((max, id) => Math.max(max, this.#logits[id] ?? 0), Number.NEGATIVE_INFINITY);
    if (others.length > 0) return { mass: place.before + sumOf(kept, this.#weights), logit, lastId: -1 };
    const lastId = selectLargest(this.#membersOf(place.bin), {}).at(-1) ?? 0;
    return { mass: place.before + sumOf(kept, this.#weights), logit: this.#logits[lastId] ?? 0, lastId };
  }

  /** The ids of a prefix, ascending. Valid until the next call. */
  ids({ logit: least, lastId }: Prefix): Uint32Array {
    const logits = this.#logits;
    const ids = this.#ids;
    let numIds = 0;
    for (let id = 0; id < logits.length; id++) {
      const logit = logits[id] ?? 0;
      if (logit > least || (logit === least && id <= lastId)) ids[numIds++] = id;
    }
    return ids.subarray(0, numIds);
  }

  /** Looks at the tokens around these masses in one pass, so that {@link ofMass} needs none for them. */
  prepare(masses: readonly number[]): void {
    this.#lookAt(masses.map((mass) => this.#placeOfMass(mass).bin));
  }

  #membersOf(bin: number): RowTokens {
    this.#lookAt([bin]);
    return { ids: this.#members.get(bin) ?? new Uint32Array(), keys: this.#logits, weights: this.#weights };
  }

  /** Finds the members of bins that have not been looked at, in one pass for all. */
  #lookAt(bins: readonly number[]): void {
    const unknown = new Set(bins.filter((bin) => !this.#members.has(bin)));
    if (unknown.size === 0) return;
    for (const bin of unknown) this.#isWanted[bin] = 1;
    const found = this.#ids.subarray(0, gather(this.#ids, this.#bits, this.#isWanted));
    for (const bin of unknown) {
      this.#members.set(bin, membersOf(bin, found, this.#bits));
      this.#isWanted[bin] = 0;
    }
  }

  /** The bin in which the running mass reaches `mass`; rounding may keep it from getting there before the last one. */
  #placeOfMass(mass: number): BinPlace {
    const reachable = Math.min(mass, this.#mass);
    const place = this.#placeWhere(this.#masses, (reached) => reached >= reachable);
    return place ?? { bin: this.#filled[0] ?? 0, before: 0 };
  }

  #massBefore(end: number): number {
    let mass = 0;
    for (const bin of this.#filled.subarray(0, this.#numFilled)) if (bin > end) mass += this.#masses[bin] ?? 0;
    return mass;
  }

  /** The first bin with members for which the condition on the sum up to and including it holds. */
  #placeWhere(summands: Float64Array, isReached: (sum: number, bin: number) => boolean): BinPlace | undefined {
    let before = 0;
    for (let i = 0; i < this.#numFilled; i++) {
      const bin = this.#filled[i] ?? 0;
      const summand = summands[bin] ?? 0;
      if (isReached(before + summand, bin)) return { bin, before };
      before += summand;
    }
    return undefined;
  }
}

// The loops over the vocabulary take four tokens at a time, which makes them up to twice as fast.

/** Four sums per bin, so that no addition waits for the one before: [4, bins]. */
const partialMasses = new Float64Array(4 * numBins);

/** Sums up the weights of each bin. */
function fillMasses(masses: Float64Array, weights: Float32Array, bits: Uint32Array): void {
  const { length } = bits;
  const partial = partialMasses.fill(0);
  let id = 0;
  for (; id + 3 < length; id += 4) {
    addMass(partial, (bits[id] ?? 0) >>> binShift, weights[id] ?? 0);
    addMass(partial, numBins + ((bits[id + 1] ?? 0) >>> binShift), weights[id + 1] ?? 0);
    addMass(partial, 2 * numBins + ((bits[id + 2] ?? 0) >>> binShift), weights[id + 2] ?? 0);
    addMass(partial, 3 * numBins + ((bits[id + 3] ?? 0) >>> binShift), weights[id + 3] ?? 0);
  }
  for (; id < length; id++) addMass(partial, (bits[id] ?? 0) >>> binShift, weights[id] ?? 0);
  for (let bin = 0; bin < numBins; bin++) {
    const first = (partial[bin] ?? 0) + (partial[numBins + bin] ?? 0);
    masses[bin] = first + ((partial[2 * numBins + bin] ?? 0) + (partial[3 * numBins + bin] ?? 0));
  }
}

function addMass(partial: Float64Array, at: number, weight: number): void {
  partial[at] = (partial[at] ?? 0) + weight;
}

/** Counts the members of each bin. */
function fillCounts(counts: Float64Array, bits: Uint32Array): void {
  counts.fill(0);
  for (let id = 0; id < bits.length; id++) {
    const bin = (bits[id] ?? 0) >>> binShift;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

/** Writes the ids of the members of the wanted bins. @returns how many */
function gather(ids: Uint32Array, bits: Uint32Array, isWanted: Uint8Array): number {
  const { length } = bits;
  let numIds = 0;
  // Every id is written, and overwritten if it is not wanted: a branch would often be predicted wrongly.
  for (let id = 0; id < length; id++) {
    ids[numIds] = id;
    numIds += isWanted[(bits[id] ?? 0) >>> binShift] ?? 0;
  }
  return numIds;
}

/** Those of the ids that are in the bin. */
function membersOf(bin: number, ids: Uint32Array, bits: Uint32Array): Uint32Array {
  const members = new Uint32Array(ids.length);
  let numMembers = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    members[numMembers] = id;
    if ((bits[id] ?? 0) >>> binShift === bin) numMembers++;
  }
  return members.subarray(0, numMembers);
}

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** The bin of a token of this weight. */
function binOf(weight: number): number {
  float[0] = weight;
  return (floatBits[0] ?? 0) >>> binShift;
}
