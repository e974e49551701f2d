import { describe, expect, test } from 'vitest';
import { greedy, type RowSampling, type SamplingParams } from '../../../src/core/index.ts';
import { Sampler } from '../../../src/sampling/index.ts';

const inf = Number.POSITIVE_INFINITY;
const context = { promptTokenIds: [0, 1, 0], outputTokenIds: [2, 1, 2] };

function adjusted(
  logits: readonly number[],
  params: Partial<SamplingParams>,
  row: Partial<RowSampling> = {},
): number[] {
  const values = Float32Array.from(logits);
  new Sampler(logits.length).adjust(values, {
    params: { ...greedy, ...params },
    tokenIndex: 3,
    choices: [0],
    context,
    ...row,
  });
  return [...values];
}

describe('adjusting logits', () => {
  test('the repetition penalty divides positive and multiplies negative logits, once per token of prompt and output', () => {
    expect(adjusted([4, -4, 0, 4], { repetitionPenalty: 2 })).toEqual([2, -8, 0, 4]);
    expect(adjusted([4, -4, 8, 4], { repetitionPenalty: 0.5 })).toEqual([8, -2, 16, 4]);
  });

  test('the presence penalty counts a token of the output once, the frequency penalty each time', () => {
    expect(adjusted([1, 1, 1, 1], { presencePenalty: 0.5 })).toEqual([1, 0.5, 0.5, 1]);
    expect(adjusted([1, 1, 1, 1], { frequencyPenalty: 0.5 })).toEqual([1, 0.5, 0, 1]);
    expect(adjusted([1, 1, 1, 1], { presencePenalty: -1, frequencyPenalty: 0.25 })).toEqual([1, 1.75, 1.5, 1]);
  });

  test('a bias is added, before the repetition penalty', () => {
    expect(
      adjusted([1, 1, 1, 1], {
        logitBias: [
          [0, 3],
          [3, -0.5],
        ],
        repetitionPenalty: 2,
      }),
    ).toEqual([2, 0.5, 0.5, 0.5]);
  });

  test('banned tokens are masked, whatever their bias', () => {
    expect(adjusted([1, 2, 3], { logitBias: [[1, 100]] }, { bannedTokenIds: [1] })).toEqual([1, -inf, 3]);
  });

  test('all tokens but the allowed ones are masked, and banned ones, too', () => {
    expect(adjusted([1, 2, 3, 4], { allowedTokenIds: [1, 3] })).toEqual([-inf, 2, -inf, 4]);
    expect(adjusted([1, 2, 3, 4], { allowedTokenIds: [1, 3] }, { bannedTokenIds: [3] })).toEqual([-inf, 2, -inf, -inf]);
    expect(adjusted([1, 2], { allowedTokenIds: [] })).toEqual([-inf, -inf]);
  });

  test('a logit of -Infinity stays what it is', () => {
    const params = {
      repetitionPenalty: 0.5,
      presencePenalty: -2,
      frequencyPenalty: -2,
      logitBias: [[2, 100]],
    } as const;
    expect(adjusted([-inf, -inf, -inf], params)).toEqual([-inf, -inf, -inf]);
  });

  test('penalties change nothing without earlier tokens', () => {
    const params = { repetitionPenalty: 2, presencePenalty: 1, frequencyPenalty: 1 };
    const empty = { context: { promptTokenIds: [], outputTokenIds: [] } };
    expect(adjusted([1, 2], params, empty)).toEqual([1, 2]);
    expect(adjusted([1, 2], params, { context: undefined })).toEqual([1, 2]);
  });

  test('one row does not affect the next', () => {
    const sampler = new Sampler(4);
    const params = { ...greedy, frequencyPenalty: 1, repetitionPenalty: 2 };
    const row = (outputTokenIds: number[]): RowSampling => ({
      params,
      tokenIndex: 0,
      choices: [0],
      context: { promptTokenIds: [], outputTokenIds },
    });
    sampler.adjust(new Float32Array(4), row([1, 1, 1, 3]));
    const logits = Float32Array.of(4, 4, 4, 4);
    sampler.adjust(logits, row([1]));
    expect([...logits]).toEqual([4, 1, 4, 4]);
  });
});
