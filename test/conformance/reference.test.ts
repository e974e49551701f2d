import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Sequence } from '../../src/core/index.ts';
import { OrtModelRunner, type TokenSampler } from '../../src/engine/index.ts';
import { openModel, type Precision } from '../../src/model/index.ts';
import { Scheduler } from '../../src/scheduler/index.ts';
import { greedy } from '../support/builders.ts';
import { copyOf, expectedCases, type ModelCase, reference, temporaryFolder, variants } from '../support/fixtures.ts';

const maxLogitError = 1e-3;

async function withRunner<Result>(
  folder: string,
  { precision = 'fp32', sampler }: { precision?: Precision | undefined; sampler?: TokenSampler },
  use: (runner: OrtModelRunner) => Promise<Result>,
): Promise<Result> {
  const model = await openModel(folder, await temporaryFolder(), { precision });
  const limits = { maxBatchSize: 4, maxModelLen: model.config.maxPositions, maxStepTokens: 256 };
  const session = { threads: 2, spinning: false };
  const runner = new OrtModelRunner({ model, limits, session, ...(sampler && { sampler }) });
  try {
    return await use(runner);
  } finally {
    runner.dispose();
  }
}

/** Lets one sequence after another join a batch, in the middle of what the others generate. @returns their tokens */
async function generate(runner: OrtModelRunner, sequences: readonly Sequence[]): Promise<(readonly number[])[]> {
  const options = { eosTokenIds: new Set<number>(), batchTimeoutMs: 0, maxQueueSize: sequences.length };
  const scheduler = new Scheduler({ limits: runner.limits, ...options });
  const waiting = [...sequences];
  for (let now = 0; sequences.some(({ status }) => status !== 'finished'); now++) {
    const newcomer = waiting.shift();
    if (newcomer !== undefined) scheduler.add(newcomer);
    const step = scheduler.schedule(now);
    if (step !== undefined) scheduler.update(step, await runner.run(step), now);
  }
  return sequences.map(({ outputTokenIds }) => outputTokenIds);
}

function sequenceOf({ prompt_token_ids: promptTokenIds, greedy_token_ids: { length } }: ModelCase): Sequence {
  return new Sequence({ id: 'case', promptTokenIds, sampling: greedy, maxNewTokens: length, arrivedAtMs: 0 });
}

/** The logits behind each prompt, fed alone. */
async function promptLogits(folder: string, cases: readonly ModelCase[], precision?: Precision) {
  const all: Float32Array[] = [];
  const sample = (row: Float32Array) => {
    all.push(row.slice());
    return 0;
  };
  await withRunner(folder, { precision, sampler: { sample } }, async (runner) => {
    for (const { prompt_token_ids: promptTokenIds } of cases) {
      const sampling = { ...greedy, temperature: 1 };
      await generate(runner, [new Sequence({ id: '', promptTokenIds, sampling, maxNewTokens: 1, arrivedAtMs: 0 })]);
    }
  });
  return all;
}

function expectedLogits({ last_prompt_logits_f32_base64: base64 }: ModelCase): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
}

async function expectConformance(folder: string, cases: readonly ModelCase[]): Promise<void> {
  expectLogits(await promptLogits(folder, cases), cases);
  const expected = cases.map(({ greedy_token_ids: tokenIds }) => tokenIds);
  await withRunner(folder, {}, async (runner) => {
    const alone = [];
    for (const each of cases) alone.push(...(await generate(runner, [sequenceOf(each)])));
    expect(alone).toEqual(expected);
    expect(await generate(runner, cases.map(sequenceOf))).toEqual(expected);
  });
}

function expectLogits(all: readonly (Float32Array | undefined)[], cases: readonly ModelCase[]): void {
  expect(all).toHaveLength(cases.length);
  for (const [i, each] of cases.entries()) {
    const logits = expectedLogits(each);
    expect(all[i]).toHaveLength(logits.length);
    const errors = logits.map((logit, id) => Math.abs(logit - (all[i]?.[id] ?? Number.NaN)));
    expect(Math.max(...errors)).toBeLessThan(maxLogitError);
  }
}

describe.each(['opt-mini', 'opt-mini-postln'])('%s', (name) => {
  test.each(['model.safetensors', 'pytorch_model.bin', 'onnx/model.onnx'])(
    'computes what transformers does, from %s',
    async (weights) => {
      const folder = await copyOf(reference(name), ['config.json', weights]);
      await expectConformance(folder, expectedCases(reference(name)));
    },
  );
});

describe('every corner of the architecture and of the weight formats computes what transformers does:', () => {
  test.each(readdirSync(variants))('%s', async (name) => {
    const folder = path.join(variants, name);
    await expectConformance(folder, expectedCases(folder));
  });
});

/** Of the root mean square of the logits behind a prompt: what 8 bits may be off by, on random weights. */
const maxInt8Error = 0.15;

describe.each(['int8', 'int8-fast'] as const)('%s is within its bounds of what transformers computes:', (precision) => {
  const folders = [
    ...['opt-mini', 'opt-mini-postln'].map(reference),
    ...readdirSync(variants).map((name) => path.join(variants, name)),
  ];

  test.each(folders)('%s', async (folder) => {
    const cases = expectedCases<ModelCase>(folder);
    const results = await promptLogits(folder, cases, precision);
    for (const [i, expected] of cases.entries()) {
      const logits = expectedLogits(expected);
      const squares = logits.map((logit, id) => (logit - (results[i]?.[id] ?? Number.NaN)) ** 2);
      const error = Math.sqrt(mean(squares) / mean(logits.map((logit) => logit ** 2)));
      expect(error).toBeLessThan(maxInt8Error);
    }
  });
});

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
