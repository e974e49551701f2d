import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Sequence } from '../../src/core/index.ts';
import { OrtModelRunner } from '../../src/engine/index.ts';
import { openModel, type Precision } from '../../src/model/index.ts';
import { greedy } from '../support/builders.ts';
import { copyOf, expectedCases, type ModelCase, reference, temporaryFolder, variants } from '../support/fixtures.ts';

const maxLogitError = 1e-3;

/** Greedy tokens of a prompt, fed alone, and the logits behind its last prompt token. */
async function generate(folder: string, cases: readonly ModelCase[], precision: Precision = 'fp32') {
  const model = await openModel(folder, await temporaryFolder(), { precision });
  const logits: Float32Array[] = [];
  const limits = { maxBatchSize: 4, maxModelLen: model.config.maxPositions, maxStepTokens: 256 };
  const sample = (row: Float32Array) => {
    logits.push(row.slice());
    return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
  };
  const runner = new OrtModelRunner({ model, limits, session: { threads: 2, spinning: false }, sampler: { sample } });
  const results = [];
  for (const {
    prompt_token_ids: promptTokenIds,
    greedy_token_ids: { length: maxNewTokens },
  } of cases) {
    const sampling = { ...greedy, temperature: 1 };
    const sequence = new Sequence({ id: 'case', promptTokenIds, sampling, maxNewTokens, arrivedAtMs: 0 });
    logits.length = 0;
    while (sequence.outputTokenIds.length < maxNewTokens) {
      const numNewTokens = sequence.numUncomputedTokens;
      const [token] = await runner.run({ moves: [], rows: [{ sequence, slot: 0, numNewTokens }] });
      sequence.numComputedTokens += numNewTokens;
      if (token !== undefined) sequence.outputTokenIds.push(token.tokenId);
    }
    results.push({ tokenIds: sequence.outputTokenIds, promptLogits: logits[0] ?? new Float32Array() });
  }
  runner.dispose();
  return results;
}

function expectedLogits({ last_prompt_logits_f32_base64: base64 }: ModelCase): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
}

async function expectConformance(folder: string, cases: readonly ModelCase[]): Promise<void> {
  const results = await generate(folder, cases);
  expect(results).toHaveLength(cases.length);
  for (const [i, expected] of cases.entries()) {
    const logits = expectedLogits(expected);
    expect(results[i]?.promptLogits).toHaveLength(logits.length);
    const errors = logits.map((logit, id) => Math.abs(logit - (results[i]?.promptLogits[id] ?? Number.NaN)));
    expect(Math.max(...errors)).toBeLessThan(maxLogitError);
    expect(results[i]?.tokenIds).toEqual(expected.greedy_token_ids);
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
    const results = await generate(folder, cases, precision);
    for (const [i, expected] of cases.entries()) {
      const logits = expectedLogits(expected);
      const squares = logits.map((logit, id) => (logit - (results[i]?.promptLogits[id] ?? Number.NaN)) ** 2);
      const error = Math.sqrt(mean(squares) / mean(logits.map((logit) => logit ** 2)));
      expect(error).toBeLessThan(maxInt8Error);
    }
  });
});

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
