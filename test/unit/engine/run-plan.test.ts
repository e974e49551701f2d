import { expect, test } from 'vitest';
import type { Step } from '../../../src/core/index.ts';
import { planRuns, type RowGroup } from '../../../src/engine/run-plan.ts';
import { sequence } from '../../support/builders.ts';

/** A row of a sequence that has so many tokens in the cache. */
function row(slot: number, promptLength: number, numComputedTokens: number, numNewTokens: number) {
  const s = sequence(`s${slot}`, { promptLength });
  s.numComputedTokens = numComputedTokens;
  if (numComputedTokens >= promptLength) s.outputTokenIds.push(7);
  return { sequence: s, slot, numNewTokens };
}

const describeGroup = ({ firstSlot, rows, width }: RowGroup) =>
  `slot ${firstSlot}: ${rows.map((each) => each.row.sequence.id).join(' ')} x ${width}`;

const describeRuns = (rows: Step['rows'], maxTokens: number) =>
  planRuns({ moves: [], rows }, maxTokens).map(({ decode, prompt }) =>
    [decode, prompt]
      .filter((group) => group.rows.length > 0)
      .map(describeGroup)
      .join(' | '),
  );

test('decoding rows take the fresh prompts along, padded to the longest; a chunk has a run of its own beside them', () => {
  const rows = [row(0, 3, 3, 1), row(1, 3, 5, 1), row(4, 40, 16, 16), row(5, 3, 0, 3), row(6, 5, 0, 5)];
  expect(describeRuns(rows, 64)).toEqual(['slot 0: s0 s1 x 1 | slot 5: s5 s6 x 5', 'slot 4: s4 x 16']);
});

test('decoding rows take a chunk along where there is nothing else', () => {
  expect(describeRuns([row(0, 3, 3, 1), row(1, 40, 16, 16)], 64)).toEqual(['slot 0: s0 x 1 | slot 1: s1 x 16']);
});

test('only decoding rows, and only prompts', () => {
  expect(describeRuns([row(0, 3, 3, 1)], 64)).toEqual(['slot 0: s0 x 1']);
  expect(describeRuns([row(0, 3, 0, 3)], 64)).toEqual(['slot 0: s0 x 3']);
});

test('no group exceeds its tokens, padding included', () => {
  const rows = [row(0, 2, 0, 2), row(1, 2, 0, 2), row(2, 8, 0, 8), row(3, 2, 0, 2)];
  expect(describeRuns(rows, 10)).toEqual(['slot 0: s0 s1 x 2', 'slot 2: s2 x 8', 'slot 3: s3 x 2']);
});

test('a hole between decoding rows is a defect, and does not go unnoticed', () => {
  expect(() => describeRuns([row(0, 3, 3, 1), row(2, 3, 3, 1)], 10)).toThrow(/slot 2 does not lie behind slot 0/);
});
