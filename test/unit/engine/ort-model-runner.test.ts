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
import { nativeArray, numAllocatedBuffers } from '../../../src/engine/ort/native.ts';
import { Session } from '../../../src/engine/ort/session.ts';
import { openModel, type Precision, takeRowsGraph } from '../../../src/model/index.ts';
import { Scheduler } from '../../../src/scheduler/index.ts';
import { copyOf, embeddedModel, patchTensor, reference, temporaryFolder } from '../../support/fixtures.ts';

const session = { threads: 2, spinning: false } as const;

async function runnerOf(
  limits: StepLimits,
  precision: Precision = 'fp32',
  folder = embeddedModel,
): Promise<OrtModelRunner> {
  const runner = new OrtModelRunner({
    model: await openModel(folder, await temporaryFolder(), { precision }),
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

test('a run that fails is an EngineError, which ONNX Runtime has caused, and the engine goes on', async () => {
  const runner = await runnerOf({ maxBatchSize: 2, maxModelLen: 16, maxStepTokens: 34 });
  const of = (tokenId: number) =>
    new Sequence({ id: 'x', promptTokenIds: [tokenId], sampling: greedy, maxNewTokens: 1, arrivedAtMs: 0 });
  const step = (tokenId: number) => ({ moves: [], rows: [{ sequence: of(tokenId), slot: 0, numNewTokens: 1 }] });
  await expect(runner.run(step(999_999))).rejects.toThrow(EngineError);
  const cause = expect.objectContaining({
    message: expect.stringMatching(/Gather.*indices element out of data bounds/s),
  });
  await expect(runner.run(step(999_999))).rejects.toMatchObject({ cause });
  expect(await runner.run(step(5))).toHaveLength(1);
});

test('what is wrong with a step itself is no EngineError but a defect', async () => {
  const runner = await runnerOf({ maxBatchSize: 2, maxModelLen: 16, maxStepTokens: 34 });
  const sequence = new Sequence({ id: 'x', promptTokenIds: [5], sampling: greedy, maxNewTokens: 1, arrivedAtMs: 0 });
  const tooMany = { moves: [], rows: [{ sequence, slot: 0, numNewTokens: 2 }] };
  const error: unknown = await runner.run(tooMany).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RangeError);
});

test('a terminated step ends with an EngineError', async () => {
  const runner = await runnerOf({ maxBatchSize: 2, maxModelLen: 512, maxStepTokens: 402 });
  const promptTokenIds = Array.from({ length: 400 }, (_, i) => i + 4);
  const sequence = new Sequence({ id: 'x', promptTokenIds, sampling: greedy, maxNewTokens: 1, arrivedAtMs: 0 });
  const step = { moves: [], rows: [{ sequence, slot: 0, numNewTokens: 400 }] };
  expect(await runner.run(step)).toHaveLength(1);
  const terminated = runner.run(step);
  runner.terminate();
  const cause = expect.objectContaining({ message: expect.stringContaining('terminate') });
  await expect(terminated).rejects.toMatchObject({ cause });
});

test('logits that are not numbers end their own row with an error, and no other', async () => {
  const folder = await copyOf(reference('opt-mini'), ['config.json', 'model.safetensors']);
  // Every sequence that reaches this position computes NaN from there on.
  await patchTensor(path.join(folder, 'model.safetensors'), 'model.decoder.embed_positions.weight', (values) =>
    values.fill(Number.NaN, (20 + 2) * 64, (20 + 3) * 64),
  );
  const runner = await runnerOf({ maxBatchSize: 4, maxModelLen: 64, maxStepTokens: 4 + 64 }, 'fp32', folder);
  const of = (length: number, temperature: number) =>
    new Sequence({
      id: `${length}`,
      promptTokenIds: Array.from({ length }, (_, i) => i + 4),
      sampling: { ...greedy, temperature },
      maxNewTokens: 9,
      arrivedAtMs: 0,
    });
  const sequences = [of(20, 0), of(21, 0), of(21, 1), of(5, 1)];
  const rows = sequences.map((sequence, slot) => ({ sequence, slot, numNewTokens: sequence.promptTokenIds.length }));
  const [a, b, c, d] = await runner.run({ moves: [], rows });
  expect([a, d]).toEqual(Array(2).fill({ tokenId: expect.any(Number) }));
  for (const result of [b, c]) expect(result).toBeInstanceOf(EngineError);
});

describe('native memory', () => {
  test('is given back once, with the runner', async () => {
    const before = numAllocatedBuffers();
    const model = await openModel(embeddedModel, await temporaryFolder());
    const limits = { maxBatchSize: 1, maxModelLen: 16, maxStepTokens: 17 };
    const runner = new OrtModelRunner({ model, limits, session });
    expect(numAllocatedBuffers()).toBeGreaterThan(before);
    runner.dispose();
    runner.dispose();
    expect(numAllocatedBuffers()).toBe(before);
  });

  test.each([
    ['the KV cache', { maxBatchSize: 1, maxModelLen: 2 ** 40, maxStepTokens: 17 }, {}],
    ['the logits', { maxBatchSize: 2, maxModelLen: 16, maxStepTokens: 34 }, { vocabSize: 2 ** 44 }],
    ['the inputs', { maxBatchSize: 1, maxModelLen: 16, maxStepTokens: 2 ** 44 }, {}],
  ])('that was acquired is given back when there is no room for %s', async (_, limits, changes) => {
    const before = numAllocatedBuffers();
    const model = await openModel(embeddedModel, await temporaryFolder());
    const changed = { ...model, config: { ...model.config, ...changes } };
    expect(() => new OrtModelRunner({ model: changed, limits, session })).toThrow(ModelError);
    expect(numAllocatedBuffers()).toBe(before);
  });

  test('stays as long as a session has bound it', async () => {
    const before = numAllocatedBuffers();
    const identity = new Session(takeRowsGraph(), session);
    const rows = nativeArray(Float32Array, 4);
    const index = nativeArray(BigInt64Array, 1);
    const taken = nativeArray(Float32Array, 2);
    const other = nativeArray(Float32Array, 2);
    rows.values.set([1, 2, 3, 4]);
    index.values.set([1n]);
    identity.bindInput('rows', { buffer: rows.buffer, type: 'float32', shape: [2, 2] });
    identity.bindInput('index', { buffer: index.buffer, type: 'int64', shape: [1] });
    identity.bindOutput('taken', { buffer: taken.buffer, type: 'float32', shape: [1, 2] });
    for (const array of [rows, index, taken]) array.free();
    expect(numAllocatedBuffers()).toBe(before + 4);
    identity.bindOutput('taken', { buffer: other.buffer, type: 'float32', shape: [1, 2] });
    expect(numAllocatedBuffers()).toBe(before + 3);
    await identity.run();
    expect([...other.values]).toEqual([3, 4]);
    other.free();
    identity.free();
    identity.free();
    expect(numAllocatedBuffers()).toBe(before);
  });
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
