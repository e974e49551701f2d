import type { Step, StepRow } from '../core/index.ts';

/**
 * One run of the graph: decoding rows with one new token each, and a group of prompts beside them.
 * GroupQueryAttention takes two kinds of groups: fresh prompts side by side, padded on the right, or one row with several new
 * tokens behind what it has cached. A step that has more groups than one is cut into several runs.
 */
export interface GraphRun {
  readonly decode: RowGroup;
  readonly prompt: RowGroup;
}

/** Rows in neighbouring slots; may be empty. */
export interface RowGroup {
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
 * The runs that make up a step: the first takes the decoding rows along.
 * @param maxTokens of a group of prompts, padding included: bounds the memory of attention
 */
export function planRuns(step: Step, maxTokens: number): GraphRun[] {
  const rows = step.rows.map((row, index) => ({ row, index }));
  const decoding = rows.filter(({ row }) => row.sequence.isDecoding);
  const fresh = rows.filter(({ row }) => isFresh(row));
  const chunks = rows.filter(({ row }) => !row.sequence.isDecoding && !isFresh(row));
  const [first = [], ...others] = [...padded(fresh, maxTokens), ...chunks.map((chunk) => [chunk])];
  return [
    { decode: groupOf(decoding), prompt: groupOf(first) },
    ...others.map((prompt) => ({ decode: groupOf([]), prompt: groupOf(prompt) })),
  ];
}

function isFresh(row: StepRow): boolean {
  return row.sequence.numComputedTokens === 0;
}

/** Fresh prompts in slot order, as many to a group as fit with their padding. */
function padded(fresh: readonly GraphRow[], maxTokens: number): GraphRow[][] {
  const groups: GraphRow[][] = [];
  let width = 0;
  for (const row of fresh) {
    const group = groups.at(-1);
    const widened = Math.max(width, row.row.numNewTokens);
    if (group !== undefined && (group.length + 1) * widened <= maxTokens) {
      group.push(row);
      width = widened;
    } else {
      groups.push([row]);
      width = row.row.numNewTokens;
    }
  }
  return groups;
}

function groupOf(rows: readonly GraphRow[]): RowGroup {
  const firstSlot = rows[0]?.row.slot ?? 0;
  for (const [i, { row }] of rows.entries()) {
    if (row.slot !== firstSlot + i) throw new Error(`slot ${row.slot} does not lie behind slot ${firstSlot + i - 1}`);
  }
  return { firstSlot, rows, width: Math.max(0, ...rows.map(({ row }) => row.numNewTokens)) };
}
