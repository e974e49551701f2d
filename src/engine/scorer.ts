import { setImmediate } from 'node:timers/promises';
import { maxLogprobs, type TokenLogprobs } from '../core/index.ts';
import { scoreGraph } from '../model/index.ts';
import { LikeliestIds, numLarger, numSegmentsOf, segmentSize } from '../sampling/index.ts';
import { type HostRows, type LogitsShape, nthRow } from './logits.ts';
import { type NativeArray, nativeArray, type Resources, Session, type SessionOptions } from './ort/index.ts';

/** Rows that are computed in one run. */
const maxGroupRows = 8;

/** Tokens that are looked at in one turn of the event loop: less than a millisecond with 50,000 in the vocabulary. */
const tokensPerTurn = 8;

/** A token whose log probability is wanted. */
export interface ScoredToken {
  /** Index among the run's rows of logits. */
  readonly at: number;
  readonly id: number;
  /** How many of the most likely tokens to report. */
  readonly numTop: number;
}

/** Rows of logits that are next to each other. */
interface Group {
  /** Indices among the run's rows. */
  readonly ats: readonly number[];
  /** Where their results are. */
  readonly place: number;
}

/** What is known about a row. */
interface RowFigures {
  readonly logits: Float32Array;
  /** Of each segment. */
  readonly maxima: Float32Array;
  /** The logarithm of the sum of exp(logit). */
  readonly logSum: number;
}

/**
 * Finds log probabilities. What needs all tokens of a row is computed off the event loop, while tokens are drawn. The rest is done on it:
 * with the maxima of segments, finding the most likely tokens takes few comparisons.
 */
export class Scorer {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #largestLogits: NativeArray<Float32Array>;
  readonly #largestLogprobs: NativeArray<Float32Array>;
  readonly #maxima: NativeArray<Float32Array>;
  readonly #likeliest = new LikeliestIds(maxLogprobs);
  #running: Promise<unknown> = Promise.resolve();

  /** @param owned becomes the owner of the session and the memory */
  constructor({ vocabSize, maxRows }: LogitsShape, session: SessionOptions, owned: Resources) {
    this.#vocabSize = vocabSize;
    this.#session = owned.own(new Session(scoreGraph({ vocabSize, segmentSize }), session));
    this.#largestLogits = owned.own(nativeArray(Float32Array, maxRows));
    this.#largestLogprobs = owned.own(nativeArray(Float32Array, maxRows));
    this.#maxima = owned.own(nativeArray(Float32Array, maxRows * numSegmentsOf(vocabSize)));
  }

  /** Starts to compute what log probabilities need. One call at a time. @param ats of the rows, ascending */
  start(rows: HostRows, ats: readonly number[]): Scores {
    const figures = new Map<number, () => Promise<RowFigures>>();
    for (const group of groupsOf(rows, ats)) {
      const computed = this.#running.then(() => this.#compute(rows, group));
      // A failure is reported when a row is asked for.
      this.#running = computed.catch(() => {});
      for (const [i, at] of group.ats.entries()) {
        figures.set(at, async () => {
          await computed;
          return this.#figuresOf(rows, at, group.place + i);
        });
      }
    }
    return new Scores(figures, this.#likeliest, this.#running);
  }

  terminate(): void {
    this.#session.terminate();
  }

  async #compute({ array, placeOf }: HostRows, { ats, place }: Group): Promise<void> {
    const session = this.#session;
    const { BYTES_PER_ELEMENT: size } = Float32Array;
    const width = this.#vocabSize;
    const numRows = ats.length;
    const byteOffset = placeOf(ats[0] ?? 0) * width * size;
    session.bindInput('rows', { buffer: array.buffer, type: 'float32', byteOffset, shape: [numRows, width] });
    const column = { byteOffset: place * size, type: 'float32', shape: [numRows, 1] } as const;
    session.bindOutput('largest_logit', { buffer: this.#largestLogits.buffer, ...column });
    session.bindOutput('largest_logprob', { buffer: this.#largestLogprobs.buffer, ...column });
    const numSegments = numSegmentsOf(width);
    const segments = { byteOffset: place * numSegments * size, shape: [numRows, numSegments, 1] };
    session.bindOutput('maxima', { buffer: this.#maxima.buffer, type: 'float32', ...segments });
    await session.run();
  }

  #figuresOf({ array, placeOf }: HostRows, at: number, place: number): RowFigures {
    const largest = this.#largestLogits.values[place] ?? Number.NaN;
    return {
      logits: nthRow(array.values, this.#vocabSize, placeOf(at)),
      maxima: nthRow(this.#maxima.values, numSegmentsOf(this.#vocabSize), place),
      logSum: largest - (this.#largestLogprobs.values[place] ?? Number.NaN),
    };
  }
}

/** The log probabilities of tokens of one run. */
export class Scores {
  readonly #figures: ReadonlyMap<number, () => Promise<RowFigures>>;
  readonly #likeliest: LikeliestIds;
  readonly #computing: Promise<unknown>;
  /** The call that came last. They are served one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #numScored = 0;

  constructor(
    figures: ReadonlyMap<number, () => Promise<RowFigures>>,
    likeliest: LikeliestIds,
    computing: Promise<unknown>,
  ) {
    this.#figures = figures;
    this.#likeliest = likeliest;
    this.#computing = computing;
  }

  /** Calls may overlap. @param tokens of rows that {@link Scorer.start} was called with @returns one entry per token */
  of(tokens: readonly ScoredToken[]): Promise<TokenLogprobs[]> {
    const scored = this.#last.then(() => this.#score(tokens));
    // A failure is reported to the caller.
    this.#last = scored.catch(() => {});
    return scored;
  }

  /** Waits until the memory of the rows is not used any more, whether or not anything has failed. */
  async idle(): Promise<void> {
    await this.#last;
    await this.#computing;
  }

  async #score(tokens: readonly ScoredToken[]): Promise<TokenLogprobs[]> {
    const results: TokenLogprobs[] = [];
    for (const token of tokens) {
      if (this.#numScored++ % tokensPerTurn === 0) await setImmediate();
      const figures = await this.#figures.get(token.at)?.();
      if (figures === undefined) throw new Error(`nothing has been computed for row ${token.at}`);
      results.push(this.#logprobsOf(token, figures));
    }
    return results;
  }

  #logprobsOf({ id, numTop }: ScoredToken, { logits, maxima, logSum }: RowFigures): TokenLogprobs {
    const logprobOf = (token: number) => Math.fround((logits[token] ?? Number.NaN) - logSum);
    const likeliest = this.#likeliest.of(logits, maxima, numTop);
    return {
      logprob: logprobOf(id),
      rank: 1 + numLarger(logits, maxima, logits[id] ?? Number.NaN),
      top: Array.from(likeliest, (token) => ({ id: token, logprob: logprobOf(token) })),
    };
  }
}

/** Cuts a list of rows into groups that are next to each other in memory. */
function groupsOf({ placeOf }: HostRows, ats: readonly number[]): Group[] {
  const groups: (Group & { readonly ats: number[] })[] = [];
  for (const [place, at] of ats.entries()) {
    const group = groups.at(-1);
    const before = group?.ats.at(-1);
    const follows = before !== undefined && placeOf(at) === placeOf(before) + 1;
    if (group !== undefined && follows && group.ats.length < maxGroupRows) group.ats.push(at);
    else groups.push({ ats: [at], place });
  }
  return groups;
}
