import type { TokenLogprobs } from '../core/index.ts';
import { scoreGraph } from '../model/index.ts';
import { LikeliestIds, numSegmentsOf, segmentSize } from '../sampling/index.ts';
import { type HostRows, nthRow } from './logits.ts';
import { type NativeArray, nativeArray, type Resources, Session, type SessionOptions } from './ort/index.ts';

/** Rows that are scored in one run, and looked at in one turn of the event loop: less than a millisecond for 50,000 tokens. */
const maxRows = 8;

/** A token whose log probability is wanted. */
export interface ScoredToken {
  /** Index among the run's rows of logits. */
  readonly at: number;
  readonly id: number;
  /** How many of the likeliest tokens to report. */
  readonly numTop: number;
}

/**
 * Finds log probabilities. The sums over the vocabulary are computed off the event loop. The likeliest tokens are found on it, which is
 * several times as fast as ONNX Runtime's TopK.
 */
export class Scorer {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #largestLogits: NativeArray<Float32Array>;
  readonly #largestLogprobs: NativeArray<Float32Array>;
  readonly #tokenLogits: NativeArray<Float32Array>;
  readonly #numLikelier: NativeArray<Float32Array>;
  readonly #maxima: NativeArray<Float32Array>;
  readonly #likeliest: LikeliestIds;
  #running: Promise<unknown> = Promise.resolve();

  /** @param owned becomes the owner of the session and the memory */
  constructor(
    { vocabSize, maxTop }: { readonly vocabSize: number; readonly maxTop: number },
    session: SessionOptions,
    owned: Resources,
  ) {
    this.#vocabSize = vocabSize;
    this.#session = owned.own(new Session(scoreGraph({ vocabSize, segmentSize }), session));
    this.#largestLogits = owned.own(nativeArray(Float32Array, 2 * maxRows));
    this.#largestLogprobs = owned.own(nativeArray(Float32Array, 2 * maxRows));
    this.#tokenLogits = owned.own(nativeArray(Float32Array, 2 * maxRows));
    this.#numLikelier = owned.own(nativeArray(Float32Array, 2 * maxRows));
    this.#maxima = owned.own(nativeArray(Float32Array, 2 * maxRows * numSegmentsOf(vocabSize)));
    this.#likeliest = new LikeliestIds(maxTop);
  }

  /** Calls may overlap; they are served one after the other. @returns one result per token */
  score(rows: HostRows, tokens: readonly ScoredToken[]): Promise<TokenLogprobs[]> {
    const scored = this.#running.then(() => this.#score(rows, neighbours(rows, tokens)));
    this.#running = scored.catch(() => {});
    return scored;
  }

  /** Group by group. While the sums of a group are computed, the event loop looks at the group before. */
  async #score(rows: HostRows, groups: readonly (readonly ScoredToken[])[]): Promise<TokenLogprobs[]> {
    const results: TokenLogprobs[] = [];
    let summing = this.#sum(rows, groups[0] ?? [], 0);
    for (const [nth, group] of groups.entries()) {
      await summing;
      const next = groups[nth + 1];
      if (next !== undefined) {
        summing = this.#sum(rows, next, nth + 1);
        // A failure is reported when the next group is awaited.
        summing.catch(() => {});
      }
      for (const [i, token] of group.entries()) results.push(this.#logprobsOf(rows, token, firstPlaceOf(nth) + i));
    }
    return results;
  }

  /** Waits until all calls have been served, or have failed. */
  async idle(): Promise<void> {
    await this.#running;
  }

  terminate(): void {
    this.#session.terminate();
  }

  /** Finds what the log probabilities of neighbouring rows are computed from. */
  async #sum({ array, placeOf }: HostRows, tokens: readonly ScoredToken[], nth: number): Promise<void> {
    if (tokens.length === 0) return;
    const place = firstPlaceOf(nth);
    const numRows = tokens.length;
    const first = placeOf(tokens[0]?.at ?? 0);
    for (const [i, { id }] of tokens.entries()) {
      this.#tokenLogits.values[place + i] = nthRow(array.values, this.#vocabSize, first + i)[id] ?? Number.NaN;
    }
    const session = this.#session;
    const { BYTES_PER_ELEMENT: size } = Float32Array;
    const rows = { byteOffset: first * this.#vocabSize * size, shape: [numRows, this.#vocabSize] };
    session.bindInput('rows', { buffer: array.buffer, type: 'float32', ...rows });
    const column = { byteOffset: place * size, type: 'float32', shape: [numRows, 1] } as const;
    session.bindInput('logit', { buffer: this.#tokenLogits.buffer, ...column });
    session.bindOutput('num_likelier', { buffer: this.#numLikelier.buffer, ...column });
    session.bindOutput('largest_logit', { buffer: this.#largestLogits.buffer, ...column });
    session.bindOutput('largest_logprob', { buffer: this.#largestLogprobs.buffer, ...column });
    const numSegments = numSegmentsOf(this.#vocabSize);
    const segments = { byteOffset: place * numSegments * size, shape: [numRows, numSegments, 1] };
    session.bindOutput('maxima', { buffer: this.#maxima.buffer, type: 'float32', ...segments });
    await session.run();
  }

  /** @param place of what {@link #sum} has found */
  #logprobsOf({ array, placeOf }: HostRows, { at, id, numTop }: ScoredToken, place: number): TokenLogprobs {
    const logits = nthRow(array.values, this.#vocabSize, placeOf(at));
    const largest = this.#largestLogits.values[place] ?? Number.NaN;
    const total = largest - (this.#largestLogprobs.values[place] ?? Number.NaN);
    const logprobOf = (token: number) => Math.fround((logits[token] ?? Number.NaN) - total);
    const maxima = nthRow(this.#maxima.values, numSegmentsOf(this.#vocabSize), place);
    const likeliest = this.#likeliest.of(logits, maxima, numTop);
    const top = Array.from(likeliest, (token) => ({ id: token, logprob: logprobOf(token) }));
    return { logprob: logprobOf(id), rank: 1 + (this.#numLikelier.values[place] ?? Number.NaN), top };
  }
}

/** Two groups take turns in memory: one is computed while the other is looked at. */
function firstPlaceOf(nthGroup: number): number {
  return (nthGroup % 2) * maxRows;
}

/** Cuts a list of tokens into groups whose rows are next to each other in memory. */
function neighbours({ placeOf }: HostRows, tokens: readonly ScoredToken[]): ScoredToken[][] {
  const groups: ScoredToken[][] = [];
  for (const token of tokens) {
    const group = groups.at(-1);
    const before = group?.at(-1);
    const follows = before !== undefined && placeOf(token.at) === placeOf(before.at) + 1;
    if (group !== undefined && follows && group.length < maxRows) group.push(token);
    else groups.push([token]);
  }
  return groups;
}
