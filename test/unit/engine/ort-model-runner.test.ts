import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  EngineError,
  greedy,
  ModelError,
  type SamplingParams,
  Sequence,
  type StepLimits,
} from '../../../src/core/index.ts';
import { OrtModelRunner } from '../../../src/engine/index.ts';
import { openModel, type Precision } from '../../../src/model/index.ts';
import { Scheduler } from '../../../src/scheduler/index.ts';
import { embeddedModel, temporaryFolder } from '../../support/fixtures.ts';

const session = { threads: 2, spinning: false } as const;

async function runnerOf(limits: StepLimits, precision: Precision = 'fp32'): Promise<OrtModelRunner> {
  const runner = new OrtModelRunner({
    model: await openModel(embeddedModel, await temporaryFolder(), { precision }),
    limits,
    session,
  });
  onTestFinished(() => runner.dispose());
  return runner;
}

/** Prompts and answers of many lengths, one prompt in ten longer than a step. */
function someSequences(count: number, sampling: (i: number) => SamplingParams): Sequence[] {
  return Array.from({ length: count }, (_, i) => {
    const length = 1 + ((i * 37) % (i % 10 === 0 ? 400 : 60));
    const promptTokenIds = Array.from({ length }, (_, j) => (i * 131 + j * 17) % 3072);
    return new Sequence({
      id: `${i}`,
      promptTokenIds,
      sampling: sampling(i),
      maxNewTokens: 4 + ((i * 13) % 30),
      arrivedAtMs: 0,
    });
  });
}

/** Runs them through the scheduler, `perStep` of them arriving at each step. */
async function runAll(runner: OrtModelRunner, sequences: readonly Sequence[], perStep: number): Promise<number> {
  const scheduler = new Scheduler({
    limits: runner.limits,
    eosTokenIds: new Set([2]),
    batchTimeoutMs: 0,
    maxQueueSize: 1000,
  });
  const arriving = [...sequences];
  let numSteps = 0;
  for (;;) {
    for (const sequence of arriving.splice(0, perStep)) scheduler.add(sequence);
    const step = scheduler.schedule(0);
    if (step === undefined) return numSteps;
    scheduler.update(step, await runner.run(step), 0);
    numSteps++;
  }
}

describe('in a batch, with others joining, leaving and moving, each sequence gets the tokens that it gets alone', () => {
  const seeded = (i: number) => ({ ...greedy, temperature: 1, seed: i, ...(i % 3 === 0 && { topK: 40 }) });
  const nucleus = (i: number) => ({ ...greedy, temperature: 1.2, seed: i, topP: 0.9 });

  test.each([
    ['greedy', 'fp32', () => greedy],
    ['sampled with a seed', 'fp32', seeded],
    ['sampled from a nucleus', 'fp32', nucleus],
    ['greedy', 'int8', () => greedy],
    ['sampled with a seed', 'int8', seeded],
  ] as const)('%s, %s', async (_, precision, sampling) => {
    const runner = await runnerOf({ maxBatchSize: 8, maxModelLen: 512, maxStepTokens: 8 + 128 }, precision);
    const alone = someSequences(30, sampling);
    for (const sequence of alone) await runAll(runner, [sequence], 1);
    const together = someSequences(30, sampling);
    const numSteps = await runAll(runner, together, 2);
    expect(together.map((sequence) => sequence.outputTokenIds)).toEqual(
      alone.map((sequence) => sequence.outputTokenIds),
    );
    const numTokens = together.reduce((sum, sequence) => sum + sequence.outputTokenIds.length, 0);
    expect(numSteps).toBeLessThan(numTokens / 3);
  });
});

test('a run that fails is an EngineError with the message of ONNX Runtime, and the engine goes on', async () => {
  const runner = await runnerOf({ maxBatchSize: 2, maxModelLen: 16, maxStepTokens: 34 });
  const of = (tokenId: number) =>
    new Sequence({ id: 'x', promptTokenIds: [tokenId], sampling: greedy, maxNewTokens: 1, arrivedAtMs: 0 });
  const step = (tokenId: number) => ({ moves: [], rows: [{ sequence: of(tokenId), slot: 0, numNewTokens: 1 }] });
  await expect(runner.run(step(999_999))).rejects.toThrow(EngineError);
  await expect(runner.run(step(999_999))).rejects.toThrow(/Gather.*indices element out of data bounds/s);
  expect(await runner.run(step(5))).toHaveLength(1);
});

test('the event loop is free while a step runs', async () => {
  const runner = await runnerOf({ maxBatchSize: 8, maxModelLen: 512, maxStepTokens: 8 + 512 });
  const [long] = someSequences(1, () => greedy);
  if (long === undefined) throw new Error('unreachable');
  let isRunning = true;
  let numTurns = 0;
  const turn = () => {
    numTurns++;
    if (isRunning) setImmediate(turn);
  };
  setImmediate(turn);
  const promptTokenIds = Array.from({ length: 400 }, (_, i) => i + 4);
  const sequence = new Sequence({ id: 'long', promptTokenIds, sampling: greedy, maxNewTokens: 1, arrivedAtMs: 0 });
  await runner.run({ moves: [], rows: [{ sequence, slot: 0, numNewTokens: 400 }] });
  isRunning = false;
  expect(numTurns).toBeGreaterThan(100);
});

test('a graph that cannot be loaded is a ModelError', async () => {
  const model = await openModel(embeddedModel, await temporaryFolder());
  const graphPath = path.join(await temporaryFolder(), 'model.onnx');
  await writeFile(graphPath, 'not a graph');
  const limits = { maxBatchSize: 1, maxModelLen: 16, maxStepTokens: 17 };
  expect(() => new OrtModelRunner({ model: { ...model, graphPath }, limits, session })).toThrow(ModelError);
});

test('a failed run does not spoil those of other shapes', async () => {
  const runner = await runnerOf({ maxBatchSize: 4, maxModelLen: 64, maxStepTokens: 4 + 64 });
  const of = (promptTokenIds: number[]) =>
    new Sequence({ id: 'x', promptTokenIds, sampling: greedy, maxNewTokens: 9, arrivedAtMs: 0 });
  const prefill = (...prompts: number[][]) => ({
    moves: [],
    rows: prompts.map((prompt, slot) => ({ sequence: of(prompt), slot, numNewTokens: prompt.length })),
  });
  const alone = await runner.run(prefill([2, 10, 11]));
  await expect(runner.run(prefill([2, 10, 11, 999_999], [2, 5]))).rejects.toThrow(EngineError);
  expect(await runner.run(prefill([2, 10, 11]))).toEqual(alone);
  expect((await runner.run(prefill([2, 5], [2, 10, 11])))[1]).toEqual(alone[0]);
});
