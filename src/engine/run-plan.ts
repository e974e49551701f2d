import type { Step, StepRow } from '../core/index.ts';

/**
 * One run of the graph: rows in neighbouring slots, each fed up to `width` new tokens.
 * GroupQueryAttention allows three shapes, and a step is cut into runs of them: rows with one new token each;
 * fresh prompts side by side, padded on the right; one row with several new tokens behind what it has cached.
 */
export interface GraphRun {
  readonly firstSlot: number;
  readonly rows: readonly GraphRow[];
  /** New tokens of the longest row. */
  readonly width: number;
}

export interface GraphRow {
  /** Place of the row in its step. */
  readonly index: number;
  readonly row: StepRow;
}

/**
 * The runs that make up a step: decoding rows, chunks of long prompts, fresh prompts.
 * @param maxTokens of one run, padding included: bounds its memory
 */
export function planRuns(step: Step, maxTokens: number): GraphRun[] {
  const rows = step.rows.map((row, index) => ({ row, index }));
  const decoding = rows.filter(({ row }) => row.sequence.isDecoding);
  const fresh = rows.filter(({ row }) => isFresh(row));
  const chunks = rows.filter(({ row }) => !row.sequence.isDecoding && !isFresh(row));
  const runs = [
    ...(decoding.length > 0 ? [decoding] : []),
    ...chunks.map((chunk) => [chunk]),
    ...padded(fresh, maxTokens),
  ];
  return runs.map(runOf);
}

function isFresh(row: StepRow): boolean {
  return row.sequence.numComputedTokens === 0;
}

/** Fresh prompts in slot order, as many to a run as fit with their padding. */
function padded(fresh: readonly GraphRow[], maxTokens: number): GraphRow[][] {
  const runs: GraphRow[][] = [];
  let width = 0;
  for (const row of fresh) {
    const run = runs.at(-1);
    const widened = Math.max(width, row.row.numNewTokens);
    if (run !== undefined && (run.length + 1) * widened <= maxTokens) {
      run.push(row);
      width = widened;
    } else {
      runs.push([row]);
      width = row.row.numNewTokens;
    }
  }
  return runs;
}

function runOf(rows: readonly GraphRow[]): GraphRun {
  const firstSlot = rows[0]?.row.slot ?? 0;
  for (const [i, { row }] of rows.entries()) {
    if (row.slot !== firstSlot + i) throw new Error(`slot ${row.slot} does not lie behind slot ${firstSlot + i - 1}`);
  }
  return { firstSlot, rows, width: Math.max(...rows.map(({ row }) => row.numNewTokens)) };
}
