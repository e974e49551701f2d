import type { TokenLogprobs } from '../core/index.ts';
import { scoreGraph } from '../model/index.ts';
import { type HostRows, nthRow } from './logits.ts';
import { type NativeArray, nativeArray, type Resources, Session, type SessionOptions } from './ort/index.ts';

/** Rows that are scored in one run. */
const maxRows = 16;

/** A token whose log probability is wanted. */
export interface ScoredToken {
  /** Index among the run's rows of logits. */
  readonly at: number;
  readonly id: number;
  /** How many of the likeliest tokens to report. */
  readonly numTop: number;
}

/** Finds log probabilities on the CPU, off the event loop. */
export class Scorer {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #count: NativeArray<BigInt64Array>;
  readonly #tokens: NativeArray<BigInt64Array>;
  readonly #logprobs: NativeArray<Float32Array>;
  readonly #topIds: NativeArray<BigInt64Array>;
  readonly #topLogprobs: NativeArray<Float32Array>;
  #running: Promise<unknown> = Promise.resolve();

  /** @param owned becomes the owner of the session and the memory */
  constructor(
    { vocabSize, maxTop }: { readonly vocabSize: number; readonly maxTop: number },
    session: SessionOptions,
    owned: Resources,
  ) {
    this.#vocabSize = vocabSize;
    this.#session = owned.own(new Session(scoreGraph(), session));
    this.#count = owned.own(nativeArray(BigInt64Array, 1));
    this.#tokens = owned.own(nativeArray(BigInt64Array, maxRows));
    this.#logprobs = owned.own(nativeArray(Float32Array, maxRows));
    this.#topIds = owned.own(nativeArray(BigInt64Array, maxRows * maxTop));
    this.#topLogprobs = owned.own(nativeArray(Float32Array, maxRows * maxTop));
  }

  /** Calls may overlap; they are served one after the other. @returns one result per token */
  score(rows: HostRows, tokens: readonly ScoredToken[]): Promise<TokenLogprobs[]> {
    const scored = this.#running.then(async () => {
      const results: TokenLogprobs[] = [];
      for (const group of neighbours(rows, tokens)) results.push(...(await this.#run(rows, group)));
      return results;
    });
    this.#running = scored.catch(() => {});
    return scored;
  }

  /** Waits until all calls have been served, or have failed. */
  async idle(): Promise<void> {
    await this.#running;
  }

  terminate(): void {
    this.#session.terminate();
  }

  /** @param tokens of neighbouring rows */
  async #run(
    { array: { buffer, values }, placeOf }: HostRows,
    tokens: readonly ScoredToken[],
  ): Promise<TokenLogprobs[]> {
    const numRows = tokens.length;
    const numTop = Math.min(Math.max(1, ...tokens.map((token) => token.numTop)), this.#vocabSize);
    this.#count.values[0] = BigInt(numTop);
    for (const [i, { id }] of tokens.entries()) this.#tokens.values[i] = BigInt(id);
    const byteOffset = placeOf(tokens[0]?.at ?? 0) * this.#vocabSize * Float32Array.BYTES_PER_ELEMENT;
    const session = this.#session;
    session.bindInput('rows', { buffer, byteOffset, type: 'float32', shape: [numRows, this.#vocabSize] });
    session.bindInput('token', { buffer: this.#tokens.buffer, type: 'int64', shape: [numRows, 1] });
    session.bindInput('count', { buffer: this.#count.buffer, type: 'int64', shape: [1] });
    session.bindOutput('logprob', { buffer: this.#logprobs.buffer, type: 'float32', shape: [numRows, 1] });
    const shape = [numRows, numTop];
    session.bindOutput('top_ids', { buffer: this.#topIds.buffer, type: 'int64', shape });
    session.bindOutput('top_logprobs', { buffer: this.#topLogprobs.buffer, type: 'float32', shape });
    await session.run();
    return tokens.map(({ at, id, numTop: wanted }, i) => {
      const top = Array.from({ length: numTop }, (_, j) => ({
        id: Number(this.#topIds.values[i * numTop + j]),
        logprob: this.#topLogprobs.values[i * numTop + j] ?? Number.NaN,
      }));
      const rank = rankOf(id, nthRow(values, this.#vocabSize, placeOf(at)), top);
      return { logprob: this.#logprobs.values[i] ?? Number.NaN, rank, top: top.slice(0, wanted) };
    });
  }
}

/** The number of likelier tokens, and one. Only a token that is not among the likeliest needs a look at all others. */
function rankOf(id: number, logits: Float32Array, top: readonly { readonly id: number }[]): number {
  const logit = logits[id] ?? Number.NaN;
  if (top.some((each) => each.id === id)) return 1 + top.filter((each) => (logits[each.id] ?? 0) > logit).length;
  let rank = 1;
  for (let other = 0; other < logits.length; other++) if ((logits[other] ?? 0) > logit) rank++;
  return rank;
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
