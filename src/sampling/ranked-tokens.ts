import {
  binOf,
  fillCounts,
  fillMasses,
  finerMassesOf,
  finerMembersOf,
  gather,
  lightestBin,
  membersOf,
  numBins,
  numFinerBins,
  weightOfBin,
} from './bins.ts';
import { type MeasuredRow, numSegmentsOf, segmentSize, type WeighedRow } from './segments.ts';
import { type RowTokens, selectLargest, sumOf } from './select.ts';

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
 * The tokens of a row from the most likely to the least likely, without sorting them. Of equally likely tokens, the smaller id comes first.
 * One pass over those that may be needed puts them into bins. After that, only the members of a few bins are looked at.
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
  /** The tokens that are in the bins: first and end of each range of ids. */
  readonly #ranges: Uint32Array;
  #rangesLength = 0;
  /** The bins that have members, the most likely first. */
  readonly #filled = new Uint16Array(numBins);
  #numFilled = 0;
  #mass = 0;
  /** The largest weight. */
  #largest = 0;

  constructor(vocabSize: number) {
    this.#ids = new Uint32Array(vocabSize);
    this.#ranges = new Uint32Array(2 * numSegmentsOf(vocabSize));
  }

  /**
   * @param row probabilities
   * @param least all tokens with at least this weight are ranked. Prefixes that reach further end somewhere behind them
   */
  load(row: MeasuredRow, least = 0): void {
    const { logits, weights, mass, largest } = row;
    this.#logits = logits;
    this.#weights = weights;
    this.#bits = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
    this.#members.clear();
    this.#mass = mass;
    this.#largest = largest;
    this.#chooseRanges(row, weightOfBin(binOf(least)));
    fillMasses(this.#masses, this.#chosen, weights, this.#bits);
    this.#numFilled = 0;
    for (let bin = numBins - 1; bin >= lightestBin; bin--) {
      if (this.#masses[bin] !== 0) this.#filled[this.#numFilled++] = bin;
    }
  }

  /** All possible tokens. */
  get all(): Prefix {
    return { mass: this.#mass, logit: Number.NEGATIVE_INFINITY, lastId: -1 };
  }

  /** The `count` most likely tokens, and those that are as likely as the last of them. */
  ofCount(count: number): Prefix {
    fillCounts(this.#counts, this.#chosen, this.#bits);
    const place = this.#placeWhere(this.#counts, (numTokens) => numTokens >= count);
    if (place === undefined) return this.all;
    const { bin, before } = place;
    const members = this.#membersOf(bin);
    const last = selectLargest(members, { count: count - before }).at(-1) ?? 0;
    const logit = this.#logits[last] ?? 0;
    const kept = members.ids.filter((id) => (this.#logits[id] ?? 0) >= logit);
    return { mass: this.#massBefore(bin) + sumOf(kept, this.#weights), logit, lastId: Number.POSITIVE_INFINITY };
  }

  /** The fewest of the most likely tokens, at least one, that reach the mass. */
  ofMass(mass: number): Prefix {
    const { bin, before } = this.#placeOfMass(mass);
    const finer = this.#finerPlace(bin, mass - before);
    const start = before + finer.before;
    const kept = selectLargest(finer.tokens, { mass: Math.max(mass - start, Number.MIN_VALUE) });
    const lastId = kept.at(-1) ?? 0;
    return { mass: start + sumOf(kept, this.#weights), logit: this.#logits[lastId] ?? 0, lastId };
  }

  /** The tokens that weigh at least this share of the heaviest. */
  ofShare(share: number): Prefix {
    const least = share * this.#largest;
    const bin = binOf(least);
    const members = this.#membersOf(bin);
    const kept = members.ids.filter((id) => (this.#weights[id] ?? 0) >= least);
    const last = kept.length > 0 ? lastOf({ ...members, ids: kept }) : lastOf(this.#membersOf(this.#filledAbove(bin)));
    return { mass: this.#massBefore(bin) + sumOf(kept, this.#weights), logit: this.#logits[last] ?? 0, lastId: last };
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

  /** Looks at the tokens around these masses and shares in one pass, so that {@link ofMass} and {@link ofShare} need none for them. */
  prepare(masses: readonly number[], shares: readonly number[] = []): void {
    const bins = masses.map((mass) => this.#placeOfMass(mass).bin);
    this.#lookAt([...bins, ...shares.map((share) => binOf(share * this.#largest))]);
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
    const found = this.#ids.subarray(0, gather(this.#ids, this.#chosen, this.#bits, this.#isWanted));
    for (const bin of unknown) {
      this.#members.set(bin, membersOf(bin, { ids: found, bits: this.#bits }));
      this.#isWanted[bin] = 0;
    }
  }

  /** Chooses the segments that have a token of at least this weight. Neighbours become one range. */
  #chooseRanges({ maxima, weights }: WeighedRow, least: number): void {
    const ranges = this.#ranges;
    let length = 0;
    for (let segment = 0; segment < maxima.length; segment++) {
      if ((maxima[segment] ?? 0) < least) continue;
      const first = segment * segmentSize;
      if (length === 0 || ranges[length - 1] !== first) {
        ranges[length] = first;
        length += 2;
      }
      ranges[length - 1] = Math.min(first + segmentSize, weights.length);
    }
    this.#rangesLength = length;
  }

  get #chosen(): Uint32Array {
    return this.#ranges.subarray(0, this.#rangesLength);
  }

  /** The bin in which the running mass reaches `mass`; the last one if rounding keeps it from getting there. */
  #placeOfMass(mass: number): BinPlace {
    const place = this.#placeWhere(this.#masses, (reached) => reached >= mass);
    if (place !== undefined) return place;
    const last = this.#filled[this.#numFilled - 1] ?? 0;
    return { bin: last, before: this.#massBefore(last) };
  }

  /** Those of a bin's members among which the running mass reaches `mass`, and the sum over the members in front of them. */
  #finerPlace(bin: number, mass: number): { readonly tokens: RowTokens; readonly before: number } {
    const members = this.#membersOf(bin);
    const binned = { ids: members.ids, bits: this.#bits };
    const masses = finerMassesOf(binned, members.weights);
    let place: BinPlace = { bin: 0, before: 0 };
    let reached = 0;
    // Rounding may keep the sum from reaching the mass. Then the place is the last one.
    for (let finerBin = numFinerBins - 1; finerBin >= 0 && reached < mass; finerBin--) {
      if (masses[finerBin] === 0) continue;
      place = { bin: finerBin, before: reached };
      reached += masses[finerBin] ?? 0;
    }
    return { tokens: { ...members, ids: finerMembersOf(bin, place.bin, binned) }, before: place.before };
  }

  #massBefore(end: number): number {
    let mass = 0;
    for (const bin of this.#filled.subarray(0, this.#numFilled)) if (bin > end) mass += this.#masses[bin] ?? 0;
    return mass;
  }

  /** The bin of the least likely tokens in front of a bin. */
  #filledAbove(end: number): number {
    return this.#filled.subarray(0, this.#numFilled).findLast((bin) => bin > end) ?? 0;
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

/** The least likely of tokens. */
function lastOf(tokens: RowTokens): number {
  return selectLargest(tokens, {}).at(-1) ?? 0;
}
