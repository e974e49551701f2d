import { setImmediate } from 'node:timers/promises';
import type { TokenLogprobs } from '../core/index.ts';
import { isGreedy, type TokenSampler, type Undrawable } from '../sampling/index.ts';
import type { DrawnRow, LogitRows, ScoredRow } from './logit-rows.ts';
import { type HostRows, type Logits, type LogitsShape, nthRow } from './logits.ts';
import type { Resources, SessionOptions } from './ort/index.ts';
import { type ScoredToken, Scorer, type Scores } from './scorer.ts';
import { type Batch, Weigher } from './weigher.ts';

export interface RowSamplerOptions {
  readonly shape: LogitsShape;
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

/** A draw from 50,000 tokens takes up to half a millisecond, or two milliseconds if several stages restrict them. */
const drawsPerTurn = 2;

/** Turns the logits of a run into tokens and log probabilities, without holding the event loop for long. */
export class RowSampler {
  readonly #vocabSize: number;
  readonly #logits: Logits;
  readonly #sampler: TokenSampler;
  readonly #weigher: Weigher;
  readonly #scorer: Scorer;

  constructor({ shape, logits, sampler, session: { threads }, owned }: RowSamplerOptions) {
    const { vocabSize } = shape;
    this.#vocabSize = vocabSize;
    this.#logits = logits;
    this.#sampler = sampler;
    // While these sessions run, the event loop draws: spinning threads would take its core.
    const session = { threads, spinning: false };
    this.#weigher = new Weigher(vocabSize, session, owned);
    this.#scorer = new Scorer(shape, session, owned);
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
    const scoredAts = atsOfScored(plan);
    const ats = ascending([...whole.map(({ at }) => at), ...scoredAts]);
    if (ats.length === 0) return { drawn, logprobs: new Map() };
    const rows = await this.#logits.read(ats);
    const scores = this.#scorer.start(rows, scoredAts);
    const found = new FoundLogprobs(scores);
    try {
      found.add([...known.flatMap((row) => wantedOf(row, drawn.get(row))), ...plan.scored.map(wantedOfPrompt)]);
      await this.#drawFromAll(whole, rows, (batch) => {
        for (const [row, ids] of batch) drawn.set(row, ids);
        found.add(batch.flatMap(([row, ids]) => wantedOf(row, ids)));
      });
      return { drawn, logprobs: await found.all() };
    } finally {
      // The memory may be freed after a failure.
      await scores.idle();
    }
  }

  /** Draws from the most likely tokens, for the rows that need no others and where reading these few is faster. */
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
    const weigher = this.#weigher;
    const { rowsPerBatch } = weigher;
    const rowsOf = (nth: number) => rows.slice(nth * rowsPerBatch, (nth + 1) * rowsPerBatch);
    const weigh = (nth: number) => {
      const running = weigher.batch(nth).weigh();
      // A failure is reported when the batch is awaited.
      running.catch(() => {});
      return running;
    };
    this.#load(rowsOf(0), from, weigher.batch(0));
    let weighing = weigh(0);
    try {
      await setImmediate();
      this.#load(rowsOf(1), from, weigher.batch(1));
      for (let nth = 0; nth * rowsPerBatch < rows.length; nth++) {
        await weighing;
        weighing = weigh(nth + 1);
        onDrawn(await this.#draw(rowsOf(nth), weigher.batch(nth)));
        await setImmediate();
        this.#load(rowsOf(nth + 2), from, weigher.batch(nth + 2));
      }
    } finally {
      await weighing.catch(() => {});
    }
  }

  /** Adjusts the logits of a few rows in place if nothing else needs them as they are, and copies them otherwise. */
  #load(rows: readonly DrawnRow[], { array, placeOf }: HostRows, batch: Batch): void {
    const temperatures = rows.map(({ sampling: { params } }) => (isGreedy(params) ? 1 : params.temperature));
    const first = placeOf(rows[0]?.at ?? 0);
    const isNext = ({ at }: DrawnRow, nth: number) => placeOf(at) === first + nth;
    const mayChange = ({ sampling }: DrawnRow) =>
      sampling.numLogprobs === undefined || !this.#sampler.adjusts(sampling);
    const inPlace = rows.every((row, nth) => isNext(row, nth) && mayChange(row));
    const loaded = inPlace ? { array, first } : { array: batch.copies, first: 0 };
    for (const [nth, { at, sampling }] of rows.entries()) {
      const logits = nthRow(loaded.array.values, this.#vocabSize, loaded.first + nth);
      if (!inPlace) logits.set(nthRow(array.values, this.#vocabSize, placeOf(at)));
      this.#sampler.adjust(logits, sampling);
    }
    batch.load(loaded, temperatures);
  }

  async #draw(
    rows: readonly DrawnRow[],
    batch: Batch,
  ): Promise<(readonly [DrawnRow, readonly number[] | Undrawable])[]> {
    const drawn: (readonly [DrawnRow, readonly number[] | Undrawable])[] = [];
    for (const [i, row] of rows.entries()) {
      if (i % drawsPerTurn === 0) await setImmediate();
      drawn.push([row, this.#sampler.draw(batch.rowOf(i), row.sampling)]);
    }
    return drawn;
  }
}

/** Log probabilities that are being found while other rows are drawn. */
class FoundLogprobs {
  readonly #scores: Scores;
  readonly #found: { readonly wanted: readonly Wanted[]; readonly logprobs: Promise<readonly TokenLogprobs[]> }[] = [];

  constructor(scores: Scores) {
    this.#scores = scores;
  }

  add(wanted: readonly Wanted[]): void {
    if (wanted.length === 0) return;
    this.#found.push({ wanted, logprobs: this.#scores.of(wanted.flatMap(({ tokens }) => tokens)) });
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

/** The rows of logits that log probabilities are wanted of, ascending. */
function atsOfScored({ drawn, scored }: LogitRows): number[] {
  const ofDrawn = drawn.filter(({ sampling }) => sampling.numLogprobs !== undefined).map(({ at }) => at);
  return ascending([...ofDrawn, ...scored.flatMap(({ at, scoring }) => scoring.tokenIds.map((_, i) => at + i))]);
}

function ascending(ats: readonly number[]): number[] {
  return [...new Set(ats)].sort((a, b) => a - b);
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
