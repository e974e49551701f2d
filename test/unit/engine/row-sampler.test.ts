import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  greedy,
  NoTokenError,
  type RowOutput,
  type RowResult,
  type RowSampling,
  type SamplingParams,
  ServingError,
  type StepLimits,
  type StepRow,
  type TokenLogprobs,
} from '../../../src/core/index.ts';
import { OrtModelRunner } from '../../../src/engine/index.ts';
import { openModel } from '../../../src/model/index.ts';
import { LikeliestIds, Sampler, type TokenSampler } from '../../../src/sampling/index.ts';
import { choosing } from '../../support/conformance.ts';
import { embeddedModel, temporaryFolder } from '../../support/fixtures.ts';

const limits = { maxBatchSize: 40, maxModelLen: 128, maxStepTokens: 40 + 600 };
const sampled: SamplingParams = { ...greedy, temperature: 1, seed: 3 };

const embeddedVocabSize = 3072;

interface Options {
  readonly threads?: number;
  readonly sampler?: TokenSampler;
  readonly limits?: StepLimits;
}

async function runnerOf(options: Options = {}) {
  const { threads = 2, ...others } = options;
  const model = await openModel(embeddedModel, await temporaryFolder());
  const runner = new OrtModelRunner({ model, limits, session: { threads, spinning: false }, ...others });
  onTestFinished(() => runner.dispose());
  return runner;
}

function promptOf(seed: number, length: number): number[] {
  return Array.from({ length }, (_, i) => 4 + ((seed * 131 + i * 17) % 3000));
}

function freshRow(slot: number, tokenIds: readonly number[], sampling: Partial<RowSampling> = {}): StepRow {
  return { slot, start: 0, tokenIds, sample: { params: greedy, tokenIndex: 0, choices: [0], ...sampling } };
}

/** Asks for the log probabilities of all tokens of a prompt but the first. */
function scored(row: StepRow, numLogprobs: number): StepRow {
  return { ...row, score: { tokenIds: row.tokenIds.slice(1), numLogprobs } };
}

async function run(runner: OrtModelRunner, ...rows: StepRow[]): Promise<readonly RowResult[]> {
  return await runner.run({ moves: [], rows });
}

function outputOf(result: RowResult | undefined): RowOutput {
  if (result === undefined || result instanceof ServingError) throw new Error(`the row has no output: ${result}`);
  return result;
}

/** The logits after the prompt. */
async function logitsAfter(prompt: readonly number[]): Promise<Float32Array> {
  let found = new Float32Array();
  const sampler = choosing((logits) => {
    found = logits.slice();
    return 0;
  });
  await run(await runnerOf({ sampler }), freshRow(0, prompt));
  return found;
}

/** In double precision. */
function logprobsOf(logits: Float32Array): number[] {
  const max = Math.max(...logits);
  const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return Array.from(logits, (logit) => logit - max - logSum);
}

describe('log probabilities', () => {
  const prompt = promptOf(1, 20);

  function expectMatch(found: TokenLogprobs | undefined, logits: Float32Array, id: number, numTop: number): void {
    const expected = logprobsOf(logits);
    const ranked = [...expected.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
    expect(found?.logprob).toBeCloseTo(expected[id] ?? Number.NaN, 4);
    expect(found?.rank).toBe(1 + logits.filter((logit) => logit > (logits[id] ?? 0)).length);
    expect(found?.top.map((top) => top.id)).toEqual(ranked.slice(0, numTop));
    for (const top of found?.top ?? []) expect(top.logprob).toBeCloseTo(expected[top.id] ?? Number.NaN, 4);
  }

  test.each([
    ['greedy', greedy, 0],
    ['greedy', greedy, 20],
    ['sampled', sampled, 5],
    ['sampled from the tail', { ...sampled, logitBias: [[2900, 100]] as const }, 3],
    [
      'sampled with a temperature, penalties and masks',
      { ...sampled, temperature: 2, topK: 3, allowedTokenIds: [7, 8, 9] },
      2,
    ],
  ] as const)(
    'of a %s token come from the logits as they are, with the rank and the likeliest tokens',
    async (_, params, numLogprobs) => {
      const [result] = await run(await runnerOf(), freshRow(0, prompt, { params, numLogprobs }));
      const [token] = outputOf(result).tokens;
      expectMatch(token?.logprobs, await logitsAfter(prompt), token?.id ?? Number.NaN, numLogprobs);
    },
  );

  test('are not computed for a row that does not ask for them', async () => {
    const [a, b] = await run(await runnerOf(), freshRow(0, prompt, { numLogprobs: 1 }), freshRow(1, prompt));
    expect(outputOf(a).tokens).toEqual([{ id: expect.any(Number), logprobs: expect.any(Object) }]);
    expect(outputOf(b)).toEqual({ tokens: [{ id: outputOf(a).tokens[0]?.id }] });
  });

  test('of a prompt score each token by the logits before it', async () => {
    const [result] = await run(await runnerOf(), scored(freshRow(0, prompt), 4));
    const { scores = [], tokens } = outputOf(result);
    expect(tokens).toHaveLength(1);
    expect(scores).toHaveLength(prompt.length - 1);
    for (const place of [1, 10, 19]) {
      expectMatch(scores[place - 1], await logitsAfter(prompt.slice(0, place)), prompt[place] ?? 0, 4);
    }
  });

  test('of a prompt that is cut into chunks come chunk by chunk, with the same bits', async () => {
    const runner = await runnerOf();
    const [whole] = await run(runner, scored(freshRow(0, prompt, { numLogprobs: 2 }), 3));
    const first = { slot: 0, start: 0, tokenIds: prompt.slice(0, 12), sample: undefined };
    const [chunk] = await run(runner, { ...first, score: { tokenIds: prompt.slice(1, 13), numLogprobs: 3 } });
    const last = { ...freshRow(0, prompt.slice(12), { numLogprobs: 2 }), start: 12 };
    const [end] = await run(runner, { ...last, score: { tokenIds: prompt.slice(13), numLogprobs: 3 } });
    expect(outputOf(chunk)).toEqual({ tokens: [], scores: outputOf(whole).scores?.slice(0, 12) });
    expect(outputOf(end)).toEqual({ tokens: outputOf(whole).tokens, scores: outputOf(whole).scores?.slice(12) });
  });

  test.each([1, 2, 4])('have the same bits alone and among 32 rows, with %i threads', async (threads) => {
    const runner = await runnerOf({ threads });
    const rows = Array.from({ length: 32 }, (_, slot) => {
      const params = slot % 3 === 0 ? greedy : { ...sampled, seed: slot, topP: 0.95, repetitionPenalty: 1.2 };
      const tokenIds = promptOf(slot, 3 + (slot % 16));
      const context = { promptTokenIds: tokenIds, outputTokenIds: [] };
      const row = freshRow(slot, tokenIds, { params, context, numLogprobs: slot % 21 });
      return slot % 4 === 0 ? scored(row, slot % 7) : row;
    });
    const together = await run(runner, ...rows);
    for (const [slot, row] of rows.entries()) expect(await run(runner, row)).toEqual([together[slot]]);
  });

  test('of a prompt change no other row', async () => {
    const runner = await runnerOf();
    const others = [1, 2, 3].map((slot) => freshRow(slot, promptOf(slot, 9), { params: sampled, numLogprobs: 3 }));
    const without = await run(runner, freshRow(0, prompt), ...others);
    const withScores = await run(runner, scored(freshRow(0, prompt), 20), ...others);
    expect(withScores.slice(1)).toEqual(without.slice(1));
    expect(outputOf(withScores[0]).tokens).toEqual(outputOf(without[0]).tokens);
  });
});

describe('several choices of a row', () => {
  const prompt = promptOf(2, 12);

  test('draw from the same logits what each of them draws alone', async () => {
    const runner = await runnerOf();
    const choices = [0, 1, 2, 3, 4, 5];
    const draw = async (wanted: readonly number[]) => {
      const [result] = await run(runner, freshRow(0, prompt, { params: sampled, choices: wanted, numLogprobs: 2 }));
      return outputOf(result).tokens;
    };
    const together = await draw(choices);
    expect(together).toHaveLength(choices.length);
    expect(together).toEqual([...(await draw([0])), ...(await draw([1, 2])), ...(await draw([3, 4, 5]))]);
    expect(new Set(together.map(({ id }) => id)).size).toBeGreaterThan(1);
  });

  test('are the same if the row is greedy, with or without adjusted logits', async () => {
    const runner = await runnerOf();
    const [plain] = await run(runner, freshRow(0, prompt, { choices: [0, 1, 2] }));
    const [best] = outputOf(plain).tokens;
    expect(outputOf(plain).tokens).toEqual([best, best, best]);
    const params = { ...greedy, logitBias: [[best?.id ?? 0, -100]] as const };
    const [biased] = await run(runner, freshRow(0, prompt, { params, choices: [0, 1] }));
    const [second] = outputOf(biased).tokens;
    expect(outputOf(biased).tokens).toEqual([second, second]);
    expect(second).not.toEqual(best);
  });
});

test.each<[string, Partial<SamplingParams>]>([
  ['penalties', { repetitionPenalty: 1e-300 }],
  ['penalties', { repetitionPenalty: 1e300, temperature: 1e-4 }],
  ['temperatures', { temperature: 1e300, allowedTokenIds: [5, 6] }],
])('extreme %s give a token: %j', async (_, params) => {
  const promptTokenIds = promptOf(0, 5);
  const context = { promptTokenIds, outputTokenIds: [] };
  const row = freshRow(0, promptTokenIds, { params: { ...sampled, ...params }, context });
  expect(outputOf((await run(await runnerOf(), row))[0]).tokens).toHaveLength(1);
});

test('a row from which no token can be drawn fails alone, and says why', async () => {
  const masked = { params: sampled, bannedTokenIds: [7], numLogprobs: 3 };
  const onlyBanned = { ...masked, params: { ...sampled, allowedTokenIds: [7] } };
  const greedyMasked = { ...onlyBanned, params: { ...greedy, allowedTokenIds: [] } };
  const rows = [masked, onlyBanned, greedyMasked, {}].map((sampling, slot) =>
    freshRow(slot, promptOf(slot, 5), sampling),
  );
  const [a, b, c, d] = await run(await runnerOf(), ...rows);
  expect(outputOf(a).tokens).toHaveLength(1);
  for (const result of [b, c]) {
    expect(result).toBeInstanceOf(NoTokenError);
    expect(result).toMatchObject({
      message: 'no token can be drawn: every token is banned, not allowed or impossible',
    });
  }
  expect(outputOf(d).tokens).toHaveLength(1);
});

test('a step of rows that are drawn and scored leaves the event loop turns in between', async () => {
  const runner = await runnerOf();
  const rows = Array.from({ length: 32 }, (_, slot) =>
    freshRow(slot, promptOf(slot, 8), { params: sampled, numLogprobs: 2 }),
  );
  let isRunning = true;
  let numTurns = 0;
  const turn = (): void => {
    numTurns++;
    if (isRunning) setImmediate(turn);
  };
  setImmediate(turn);
  await run(runner, ...rows);
  isRunning = false;
  expect(numTurns).toBeGreaterThan(rows.length);
});

test('after a terminated step, nothing uses its memory any more', async () => {
  const sampler = new Sampler(embeddedVocabSize);
  let numDraws = 0;
  const terminating: TokenSampler = {
    needs: (row) => sampler.needs(row),
    adjusts: (row) => sampler.adjusts(row),
    adjust: (...row) => sampler.adjust(...row),
    draw: (...row) => {
      // The weights of the third batch are not computed any more.
      if (++numDraws === 20) runner.terminate();
      return sampler.draw(...row);
    },
    drawAmong: () => undefined,
  };
  const runner = await runnerOf({ sampler: terminating, limits: { ...limits, maxBatchSize: 120, maxStepTokens: 240 } });
  const rows = Array.from({ length: 120 }, (_, slot) =>
    freshRow(slot, [4 + slot], { params: sampled, numLogprobs: 20 }),
  );
  const ranked = vi.spyOn(LikeliestIds.prototype, 'of');
  onTestFinished(() => ranked.mockRestore());
  await expect(run(runner, ...rows)).rejects.toThrow('the model could not be run');
  const numRanked = ranked.mock.calls.length;
  for (let turn = 0; turn < 50; turn++) await nextTurn();
  expect(ranked.mock.calls.length).toBe(numRanked);
});
