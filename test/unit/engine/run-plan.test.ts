import { expect, test } from 'vitest';
import type { Step, StepRow } from '../../../src/core/index.ts';
import { planRuns, type RowGroup } from '../../../src/engine/run-plan.ts';

/** A row that appends tokens to those of its slot. */
function row(slot: number, start: number, numTokens: number): StepRow {
  return { slot, start, tokenIds: new Array<number>(numTokens).fill(7), sample: undefined };
}

const describeGroup = ({ firstSlot, rows, width }: RowGroup) =>
  `slot ${firstSlot}: ${rows.map((each) => `s${each.row.slot}`).join(' ')} x ${width}`;

const describeRuns = (rows: Step['rows'], maxTokens: number) =>
  planRuns({ moves: [], rows }, maxTokens).map(({ decode, prompt }) =>
    [decode, prompt]
      .filter((group) => group.rows.length > 0)
      .map(describeGroup)
      .join(' | '),
  );

test('fresh prompts are padded to the longest and share the run of the decoding rows; a chunk gets its own run', () => {
  const rows = [row(0, 3, 1), row(1, 5, 1), row(4, 16, 16), row(5, 0, 3), row(6, 0, 5)];
  expect(describeRuns(rows, 64)).toEqual(['slot 0: s0 s1 x 1 | slot 5: s5 s6 x 5', 'slot 4: s4 x 16']);
});

test('a chunk shares the run of the decoding rows if there are no fresh prompts', () => {
  expect(describeRuns([row(0, 3, 1), row(1, 16, 16)], 64)).toEqual(['slot 0: s0 x 1 | slot 1: s1 x 16']);
});

test('a step may have only decoding rows or only prompts', () => {
  expect(describeRuns([row(0, 3, 1)], 64)).toEqual(['slot 0: s0 x 1']);
  expect(describeRuns([row(0, 0, 3)], 64)).toEqual(['slot 0: s0 x 3']);
});

test('no group exceeds the maximum number of tokens, including padding', () => {
  const rows = [row(0, 0, 2), row(1, 0, 2), row(2, 0, 8), row(3, 0, 2)];
  expect(describeRuns(rows, 10)).toEqual(['slot 0: s0 s1 x 2', 'slot 2: s2 x 8', 'slot 3: s3 x 2']);
});

test('the last token of a prompt joins the decoding rows if its slot follows theirs, and is a separate chunk otherwise', () => {
  expect(describeRuns([row(0, 3, 1), row(1, 16, 1)], 64)).toEqual(['slot 0: s0 s1 x 1']);
  expect(describeRuns([row(0, 3, 1), row(2, 16, 1)], 64)).toEqual(['slot 0: s0 x 1 | slot 2: s2 x 1']);
});

test('a prompt of one token is not a decoding row', () => {
  expect(describeRuns([row(0, 3, 1), row(1, 0, 1)], 64)).toEqual(['slot 0: s0 x 1 | slot 1: s1 x 1']);
});

test('a gap between the slots of fresh prompts is detected as a defect', () => {
  expect(() => describeRuns([row(0, 0, 1), row(2, 0, 1)], 10)).toThrow(/slot 2 does not follow slot 0/);
});
