import { describe, expect, test } from 'vitest';
import { greedy, type SamplingParams } from '../../src/core/index.ts';
import type { OrtModelRunner } from '../../src/engine/index.ts';
import { Sequence } from '../../src/scheduler/index.ts';
import { generate, type RunnerSetup, withRunner } from '../support/conformance.ts';
import { reference } from '../support/fixtures.ts';
import { needWebGpu } from '../support/tools.ts';

const sampling: SamplingParams = { ...greedy, temperature: 1, seed: 11, repetitionPenalty: 1.1, frequencyPenalty: 0.2 };
/** Long prompts take several steps. */
const limits = { maxBatchSize: 8, maxStepTokens: 18, maxModelLen: 72 };
const prompts = [3, 9, 25].map((length, i) => Array.from({ length }, (_, at) => 5 + ((i * 29 + at * 13) % 80)));

function ask(promptTokenIds: readonly number[], n: number, params = sampling): Sequence {
  const maxNewTokens = 16;
  return new Sequence({ id: '', promptTokenIds, sampling: params, maxNewTokens, arrivedAtMs: 0 }, { n });
}

const answersOf = (sequence: Sequence) => [sequence, ...sequence.forks].map(({ outputTokenIds }) => outputTokenIds);

/** The answers to each prompt, alone. */
async function alone(runner: OrtModelRunner, n: number, params = sampling) {
  const all: number[][][] = [];
  for (const prompt of prompts) {
    const sequence = ask(prompt, n, params);
    await generate(runner, [sequence]);
    all.push(answersOf(sequence));
  }
  return all;
}

async function expectIndependentAnswers(setup: RunnerSetup) {
  await withRunner(reference('opt-mini'), { limits, ...setup }, async (runner) => {
    const four = await alone(runner, 4);
    expect(new Set(four.flat().map(String)).size).toBe(12);
    expect(await alone(runner, 1)).toEqual(four.map((answers) => answers.slice(0, 1)));
    expect(await alone(runner, 2)).toEqual(four.map((answers) => answers.slice(0, 2)));
    const together = prompts.map((prompt) => ask(prompt, 4));
    const neighbours = [ask([5, 6], 1), ask([7], 3, greedy)];
    await generate(runner, [...together.slice(0, 1), ...neighbours, ...together.slice(1)], 2);
    expect(together.map(answersOf)).toEqual(four);
  });
}

describe('an answer of several', () => {
  test.each(['fp32', 'int8'] as const)('has the same tokens however many there are, alone or not, in %s', (precision) =>
    expectIndependentAnswers({ precision }),
  );

  test('has the same tokens with the cache in the memory of a device', async (context) => {
    needWebGpu(context);
    await expectIndependentAnswers({ device: { kind: 'webgpu' }, blockTokens: 4 });
  });

  test('is the only one there is, if all are greedy', async () => {
    await withRunner(reference('opt-mini'), { limits }, async (runner) => {
      const [one, three] = [await alone(runner, 1, greedy), await alone(runner, 3, greedy)];
      expect(three).toEqual(one.map(([answer]) => [answer, answer, answer]));
    });
  });
});
