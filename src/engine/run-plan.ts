import type { Step, StepRow } from '../core/index.ts';

/**
 * One run of the graph: rows that decode, with one token each, and a group of prompts.
 * GroupQueryAttention takes two kinds of groups: fresh prompts side by side, padded on the right, or one row with several tokens behind
 * what it has cached. A step with more groups is split into several runs.
 */
export interface GraphRun {
  readonly decode: RowGroup;
  readonly prompt: RowGroup;
}

/** Rows in neighbouring slots; may be empty. */
export interface RowGroup {
  readonly firstSlot: number;
  readonly rows: readonly GraphRow[];
  /** Tokens of the longest row. */
  readonly width: number;
}

export interface GraphRow {
  /** Place of the row in its step. */
  readonly index: number;
  readonly row: StepRow;
}

/**
 * The runs that make up a step. The first one includes the rows that decode.
 * @param maxTokens of a group of prompts, padding included: bounds the memory of attention
 */
export function planRuns(step: Step, maxTokens: number): GraphRun[] {
  const rows = step.rows.map((row, index) => ({ row, index }));
  const decoding = rows.slice(0, numDecoding(step.rows));
  const prompts = rows.slice(decoding.length);
  const fresh = prompts.filter(({ row }) => row.start === 0);
  const chunks = prompts.filter(({ row }) => row.start > 0);
  const [first = [], ...others] = [...padded(fresh, maxTokens), ...chunks.map((chunk) => [chunk])];
  return [
    { decode: groupOf(decoding), prompt: groupOf(first) },
    ...others.map((prompt) => ({ decode: groupOf([]), prompt: groupOf(prompt) })),
  ];
}

/** A row of one token behind cached ones decodes, whether the token was sampled or ends a prompt: attention computes both in the same way. */
function numDecoding(rows: readonly StepRow[]): number {
  const end = rows.findIndex(({ slot, start, tokenIds }, i) => slot !== i || start === 0 || tokenIds.length > 1);
  return end < 0 ? rows.length : end;
}

/** Fresh prompts in slot order, as many in a group as fit with their padding. */
function padded(fresh: readonly GraphRow[], maxTokens: number): GraphRow[][] {
  const groups: GraphRow[][] = [];
  let width = 0;
  for (const row of fresh) {
    const group = groups.at(-1);
    const numTokens = row.row.tokenIds.length;
    const widened = Math.max(width, numTokens);
    if (group !== undefined && (group.length + 1) * widened <= maxTokens) {
      group.push(row);
      width = widened;
    } else {
      groups.push([row]);
      width = numTokens;
    }
  }
  return groups;
}

function groupOf(rows: readonly GraphRow[]): RowGroup {
  const firstSlot = rows[0]?.row.slot ?? 0;
  for (const [i, { row }] of rows.entries()) {
    if (row.slot !== firstSlot + i) throw new Error(`slot ${row.slot} does not follow slot ${firstSlot + i - 1}`);
  }
  return { firstSlot, rows, width: Math.max(0, ...rows.map(({ row }) => row.tokenIds.length)) };
}
