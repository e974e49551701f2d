import { setImmediate } from 'node:timers/promises';
import { maxLogprobs, type TokenLogprobs } from '../core/index.ts';
import { isGreedy, type TokenSampler, type Undrawable } from '../sampling/index.ts';
import type { DrawnRow, LogitRows, ScoredRow } from './logit-rows.ts';
import { type HostRows, type Logits, nthRow } from './logits.ts';
import type { Resources, SessionOptions } from './ort/index.ts';
import { type ScoredToken, Scorer } from './scorer.ts';
import { rowsPerBatch, Weigher } from './weigher.ts';

export interface RowSamplerOptions {
  readonly vocabSize: number;
  readonly logits: Logits;
  readonly sampler: TokenSampler;
  readonly session: SessionOptions;
  /** Becomes the owner of native memory and sessions. */
  readonly owned: Resources;
}

/** The token with the largest logit of a row, as the graph found it; undefined if the logit is not finite. */
export type BestToken = (at: number) => number | undefined;

/** What a run has given. */
export interface Sampled {
  /** For each row that tokens are drawn from: the ids, or why there are none. */
  readonly drawn: ReadonlyMap<DrawnRow, readonly number[] | Undrawable>;
  /** One per token, for each row that has been asked for them. */
  readonly logprobs: ReadonlyMap<DrawnRow | ScoredRow, readonly TokenLogprobs[]>;
}

/** Tokens of a row whose log probabilities are wanted. */
interface Wanted {
  readonly row: DrawnRow | ScoredRow;
  readonly tokens: readonly ScoredToken[];
}

/** A draw from 50,000 tokens takes up to half a millisecond, or two if several stages restrict them. */
const drawsPerTurn = 2;

/** Turns the logits of a run into tokens and log probabilities, without holding the event loop for long. */
export class RowSampler {
  readonly #vocabSize: number;
  readonly #logits: Logits;
  readonly #sampler: TokenSampler;
  readonly #weigher: Weigher;
  readonly #scorer: Scorer;

  constructor({ vocabSize, logits, sampler, session: { threads }, owned }: RowSamplerOptions) {
    this.#vocabSize = vocabSize;
    this.#logits = logits;
    this.#sampler = sampler;
    // While these sessions run, the event loop draws: spinning threads would take its core.
    const session = { threads, spinning: false };
    this.#weigher = new Weigher(vocabSize, session, owned);
    this.#scorer = new Scorer({ vocabSize, maxTop: maxLogprobs }, session, owned);
  }

  /** Makes what is running fail. */
  terminate(): void {
    this.#weigher.terminate();
    this.#scorer.terminate();
  }

  async sample(plan: LogitRows, best: BestToken): Promise<Sampled> {
    const drawn = new Map<DrawnRow, readonly number[] | Undrawable>();
    for (const row of plan.drawn) {
      if (this.#sampler.needs(row.sampling) === 'best') drawn.set(row, bestOf(row, best));
    }
    await this.#drawFromFew(plan.drawn, drawn);
    const known = plan.drawn.filter((row) => drawn.has(row));
    const whole = plan.drawn.filter((row) => !drawn.has(row));
    const wanted = [...known.flatMap((row) => wantedOf(row, drawn.get(row))), ...plan.scored.map(wantedOfPrompt)];
    const ats = [...whole.map(({ at }) => at), ...wanted.flatMap(({ tokens }) => tokens.map(({ at }) => at))];
    if (ats.length === 0) return { drawn, logprobs: new Map() };
    const rows = await this.#logits.read([...new Set(ats)].sort((a, b) => a - b));
    const scores = new Scores(this.#scorer, rows);
    scores.add(wanted);
    try {
      await this.#drawFromAll(whole, rows, (batch) => {
        for (const [row, ids] of batch) drawn.set(row, ids);
        scores.add(batch.flatMap(([row, ids]) => wantedOf(row, ids)));
      });
    } finally {
      await this.#scorer.idle();
    }
    return { drawn, logprobs: await scores.all() };
  }

  /** Draws from the likeliest tokens, for the rows that need no others and where reading these few is faster. */
  async #drawFromFew(rows: readonly DrawnRow[], drawn: Map<DrawnRow, readonly number[] | Undrawable>): Promise<void> {
    if (this.#logits.readLikeliest === undefined) return;
    const few = rows.filter(({ sampling }) => this.#sampler.needs(sampling) === 'few');
    if (few.length === 0) return;
    for (const [nth, likeliest] of (await this.#logits.readLikeliest(few)).entries()) {
      const row = few[nth];
      const ids = row && this.#sampler.drawAmong(likeliest, row.sampling);
      if (row !== undefined && ids !== undefined) drawn.set(row, ids);
    }
  }

  /** Draws batch by batch. While the weights of a batch are computed, the event loop draws from the batch before. */
  async #drawFromAll(
    rows: readonly DrawnRow[],
    from: HostRows,
    onDrawn: (batch: readonly (readonly [DrawnRow, readonly number[] | Undrawable])[]) => void,
  ): Promise<void> {
    const numBatches = Math.ceil(rows.length / rowsPerBatch);
    const batchOf = (nth: number) => rows.slice(nth * rowsPerBatch, (nth + 1) * rowsPerBatch);
    let weighing = numBatches > 0 ? this.#weigh(0, batchOf(0), from) : Promise.resolve();
    for (let nth = 0; nth < numBatches; nth++) {
      await weighing;
      if (nth + 1 < numBatches) weighing = this.#weigh(nth + 1, batchOf(nth + 1), from);
      const { rowOf } = this.#weigher.batch(nth);
      const drawn: (readonly [DrawnRow, readonly number[] | Undrawable])[] = [];
      for (const [i, row] of batchOf(nth).entries()) {
        if (i % drawsPerTurn === 0) await setImmediate();
        drawn.push([row, this.#sampler.draw(rowOf(i), row.sampling)]);
      }
      onDrawn(drawn);
    }
  }

  /** Copies and adjusts the logits of a batch at once, then computes its weights. */
  #weigh(nth: number, rows: readonly DrawnRow[], { array, placeOf }: HostRows): Promise<void> {
    const batch = this.#weigher.batch(nth);
    for (const [i, { at, sampling }] of rows.entries()) {
      const logits = batch.logitsOf(i);
      logits.set(nthRow(array.values, this.#vocabSize, placeOf(at)));
      this.#sampler.adjust(logits, sampling);
      batch.setTemperature(i, isGreedy(sampling.params) ? 1 : sampling.params.temperature);
    }
    const running = this.#weigher.run(nth, rows.length);
    // A failure is reported when the batch is awaited.
    running.catch(() => {});
    return running;
  }
}

/** Log probabilities that are being found while other rows are drawn. */
class Scores {
  readonly #scorer: Scorer;
  readonly #rows: HostRows;
  readonly #found: { readonly wanted: readonly Wanted[]; readonly logprobs: Promise<readonly TokenLogprobs[]> }[] = [];

  constructor(scorer: Scorer, rows: HostRows) {
    this.#scorer = scorer;
    this.#rows = rows;
  }

  add(wanted: readonly Wanted[]): void {
    if (wanted.length === 0) return;
    const tokens = wanted.flatMap((each) => each.tokens);
    this.#found.push({ wanted, logprobs: this.#scorer.score(this.#rows, tokens) });
  }

  async all(): Promise<ReadonlyMap<DrawnRow | ScoredRow, readonly TokenLogprobs[]>> {
    const byRow = new Map<DrawnRow | ScoredRow, readonly TokenLogprobs[]>();
    for (const { wanted, logprobs } of this.#found) {
      const all = await logprobs;
      let next = 0;
      for (const { row, tokens } of wanted) {
        byRow.set(row, all.slice(next, next + tokens.length));
        next += tokens.length;
      }
    }
    return byRow;
  }
}

function bestOf({ at, sampling }: DrawnRow, best: BestToken): readonly number[] | Undrawable {
  const id = best(at);
  return id === undefined ? 'not finite' : sampling.choices.map(() => id);
}

function wantedOf(row: DrawnRow, ids: readonly number[] | Undrawable | undefined): Wanted[] {
  const { at, sampling } = row;
  const { numLogprobs: numTop } = sampling;
  if (numTop === undefined || ids === undefined || typeof ids === 'string') return [];
  return [{ row, tokens: ids.map((id) => ({ at, id, numTop })) }];
}

function wantedOfPrompt(row: ScoredRow): Wanted {
  const { tokenIds, numLogprobs: numTop } = row.scoring;
  return { row, tokens: tokenIds.map((id, i) => ({ at: row.at + i, id, numTop })) };
}
