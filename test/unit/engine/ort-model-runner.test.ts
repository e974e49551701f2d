import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  EngineError,
  greedy,
  ModelError,
  type Precision,
  type SamplingParams,
  type Step,
  type StepLimits,
  type StepRow,
} from '../../../src/core/index.ts';
import { OrtModelRunner } from '../../../src/engine/index.ts';
import { nativeArray, numAllocatedBuffers } from '../../../src/engine/ort/native.ts';
import { Session } from '../../../src/engine/ort/session.ts';
import { openModel, takeRowsGraph } from '../../../src/model/index.ts';
import type { TokenSampler } from '../../../src/sampling/index.ts';
import { Scheduler, Sequence } from '../../../src/scheduler/index.ts';
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

/** Sequences with prompts and outputs of many lengths. Some prompts are longer than a step. */
function someSequences(count: number, sampling: (i: number) => SamplingParams): Sequence[] {
  return Array.from({ length: count }, (_, i) => {
    const length = 1 + ((i * 37) % (i % 10 === 0 ? 400 : 60));
    const promptTokenIds = Array.from({ length }, (_, j) => (i * 131 + j * 17) % 3072);
    return new Sequence({
      id: `${i}`,
      promptTokenIds,
      sampling: sampling(i),
      endTokenIds: new Set([2]),
      ...(i % 2 === 0 && { numLogprobs: i % 5 }),
      maxNewTokens: 4 + ((i * 13) % 30),
      arrivedAtMs: 0,
    });
  });
}

/** A step that prefills prompts. */
function prefill(...prompts: readonly (readonly number[])[]): Step {
  const sample = { params: greedy, tokenIndex: 0, choices: [0] };
  return { moves: [], rows: prompts.map((tokenIds, slot) => ({ slot, start: 0, tokenIds, sample })) };
}

/** Runs sequences through the scheduler. Before each step, `perStep` of them arrive. @returns the number of steps */
async function runAll(runner: OrtModelRunner, sequences: readonly Sequence[], perStep: number): Promise<number> {
  const scheduler = new Scheduler({
    limits: runner.limits,
    batchTimeoutMs: 0,
    maxQueueSize: 1000,
  });
  const arriving = [...sequences];
  let numSteps = 0;
  for (;;) {
    for (const sequence of arriving.splice(0, perStep)) scheduler.add(sequence);
    const step = scheduler.schedule(0);
    if (step === undefined) return numSteps;
    scheduler.update(await runner.run(step), 0);
    numSteps++;
  }
}

describe('a sequence gets the same tokens alone and in a batch that others join and leave', () => {
  const seeded = (i: number) => ({ ...greedy, temperature: 1, seed: i, ...(i % 3 === 0 && { topK: 40 }) });
  const nucleus = (i: number) => ({ ...greedy, temperature: 1.2, seed: i, topP: 0.9 });
  const everything = (i: number) => ({
    ...nucleus(i),
    minP: 0.001,
    typicalP: i % 4 === 0 ? 0.95 : 1,
    repetitionPenalty: 1.1,
    presencePenalty: 0.3,
    frequencyPenalty: 0.2,
    logitBias: [[5, 2] as const, [2, -100] as const],
  });

  test.each([
    ['greedy', 'fp32', () => greedy],
    ['sampled with a seed', 'fp32', seeded],
    ['sampled from a nucleus', 'fp32', nucleus],
    ['sampled with every parameter', 'fp32', everything],
    ['greedy with penalties', 'fp32', (i: number) => ({ ...everything(i), temperature: 0 })],
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

test('a failed run throws an EngineError caused by ONNX Runtime, and the next run succeeds', async () => {
  const runner = await runnerOf({ maxBatchSize: 2, maxModelLen: 16, maxStepTokens: 34 });
  await expect(runner.run(prefill([999_999]))).rejects.toThrow(EngineError);
  const cause = expect.objectContaining({
    message: expect.stringMatching(/Gather.*indices element out of data bounds/s),
  });
  await expect(runner.run(prefill([999_999]))).rejects.toMatchObject({ cause });
  expect(await runner.run(prefill([5]))).toHaveLength(1);
});

test('an invalid step throws a RangeError, not an EngineError', async () => {
  const runner = await runnerOf({ maxBatchSize: 2, maxModelLen: 16, maxStepTokens: 34 });
  const error: unknown = await runner.run(prefill([0.5])).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RangeError);
});

test('a terminated step fails, and the cause says that it was terminated', async () => {
  const runner = await runnerOf({ maxBatchSize: 2, maxModelLen: 512, maxStepTokens: 402 });
  const step = prefill(Array.from({ length: 400 }, (_, i) => i + 4));
  expect(await runner.run(step)).toHaveLength(1);
  const terminated = runner.run(step);
  runner.terminate();
  const cause = expect.objectContaining({ message: expect.stringContaining('terminate') });
  await expect(terminated).rejects.toMatchObject({ cause });
});

test('NaN logits fail their own row and no other', async () => {
  const folder = await copyOf(reference('opt-mini'), ['config.json', 'model.safetensors']);
  // Every sequence that reaches this position computes NaN from there on.
  await patchTensor(path.join(folder, 'model.safetensors'), 'model.decoder.embed_positions.weight', (values) =>
    values.fill(Number.NaN, (20 + 2) * 64, (20 + 3) * 64),
  );
  const runner = await runnerOf({ maxBatchSize: 4, maxModelLen: 64, maxStepTokens: 4 + 64 }, 'fp32', folder);
  const row = (slot: number, length: number, temperature: number): StepRow => ({
    slot,
    start: 0,
    tokenIds: Array.from({ length }, (_, i) => i + 4),
    sample: { params: { ...greedy, temperature }, tokenIndex: 0, choices: [0] },
  });
  const rows = [row(0, 20, 0), row(1, 21, 0), row(2, 21, 1), row(3, 5, 1)];
  const [a, b, c, d] = await runner.run({ moves: [], rows });
  expect([a, d]).toEqual(Array(2).fill({ tokens: [{ id: expect.any(Number) }] }));
  for (const result of [b, c]) expect(result).toBeInstanceOf(EngineError);
});

describe('native memory', () => {
  test('is freed once, when the runner is disposed', async () => {
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
  ])('is freed again when there is no room for %s', async (_, limits, changes) => {
    const before = numAllocatedBuffers();
    const model = await openModel(embeddedModel, await temporaryFolder());
    const changed = { ...model, config: { ...model.config, ...changes } };
    expect(() => new OrtModelRunner({ model: changed, limits, session })).toThrow(ModelError);
    expect(numAllocatedBuffers()).toBe(before);
  });

  test('stays allocated as long as a session binds it', async () => {
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

test('a running step does not block the event loop', async () => {
  const runner = await runnerOf({ maxBatchSize: 8, maxModelLen: 512, maxStepTokens: 8 + 512 });
  let isRunning = true;
  let numTurns = 0;
  const turn = () => {
    numTurns++;
    if (isRunning) setImmediate(turn);
  };
  setImmediate(turn);
  await runner.run(prefill(Array.from({ length: 400 }, (_, i) => i + 4)));
  isRunning = false;
  expect(numTurns).toBeGreaterThan(100);
});

test('a graph that cannot be loaded throws a ModelError', async () => {
  const model = await openModel(embeddedModel, await temporaryFolder());
  const graphPath = path.join(await temporaryFolder(), 'model.onnx');
  await writeFile(graphPath, 'not a graph');
  const limits = { maxBatchSize: 1, maxModelLen: 16, maxStepTokens: 17 };
  expect(() => new OrtModelRunner({ model: { ...model, graphPath }, limits, session })).toThrow(ModelError);
});

test('a failed run does not affect later runs of other shapes', async () => {
  const runner = await runnerOf({ maxBatchSize: 4, maxModelLen: 64, maxStepTokens: 4 + 64 });
  const alone = await runner.run(prefill([2, 10, 11]));
  await expect(runner.run(prefill([2, 10, 11, 999_999], [2, 5]))).rejects.toThrow(EngineError);
  expect(await runner.run(prefill([2, 10, 11]))).toEqual(alone);
  expect((await runner.run(prefill([2, 5], [2, 10, 11])))[1]).toEqual(alone[0]);
});

test('the last token of a prompt gives the same logits in the decoding group and as a separate chunk', async () => {
  const rows: Float32Array[] = [];
  const sampler: TokenSampler = {
    needs: () => 'all',
    adjusts: () => false,
    adjust: () => {},
    draw: ({ logits }) => {
      rows.push(logits.slice());
      return [0];
    },
    drawAmong: () => undefined,
  };
  const model = await openModel(embeddedModel, await temporaryFolder());
  const limits = { maxBatchSize: 4, maxModelLen: 64, maxStepTokens: 4 + 64 };
  const runner = new OrtModelRunner({ model, limits, session, sampler });
  onTestFinished(() => runner.dispose());
  const prompt = Array.from({ length: 33 }, (_, i) => i + 4);
  for (const slot of [0, 2]) {
    const sample = { params: greedy, tokenIndex: 0, choices: [0] };
    await runner.run({ moves: [], rows: [{ slot, start: 0, tokenIds: prompt.slice(0, 32), sample: undefined }] });
    await runner.run({ moves: [], rows: [{ slot, start: 32, tokenIds: prompt.slice(32), sample }] });
  }
  expect(rows).toHaveLength(2);
  expect(rows[1]).toEqual(rows[0]);
});
