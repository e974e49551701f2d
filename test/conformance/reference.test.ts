import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { generate, logitErrors, promptLogits, sequenceOf, withRunner } from '../support/conformance.ts';
import { copyOf, expectedCases, type ModelCase, reference, variants } from '../support/fixtures.ts';

const maxLogitError = 1e-3;

async function expectConformance(folder: string, cases: readonly ModelCase[]): Promise<void> {
  const logits = await promptLogits(folder, cases);
  for (const [i, each] of cases.entries()) expect(logitErrors(logits[i], each).max).toBeLessThan(maxLogitError);
  await expectTokens(folder, cases);
}

async function expectTokens(folder: string, cases: readonly ModelCase[], precision?: 'fp16'): Promise<void> {
  const expected = cases.map(({ greedy_token_ids: tokenIds }) => tokenIds);
  await withRunner(folder, { precision }, async (runner) => {
    const alone = [];
    for (const each of cases) alone.push(...(await generate(runner, [sequenceOf(each)])));
    expect(alone).toEqual(expected);
    expect(
      await generate(
        runner,
        cases.map((each) => sequenceOf(each)),
      ),
    ).toEqual(expected);
  });
}

describe.each(['opt-mini', 'opt-mini-postln'])('%s', (name) => {
  test.each(['model.safetensors', 'pytorch_model.bin', 'onnx/model.onnx'])(
    'matches transformers when loaded from %s',
    async (weights) => {
      const folder = await copyOf(reference(name), ['config.json', weights]);
      await expectConformance(folder, expectedCases(reference(name)));
    },
  );

  test('generates the same tokens in fp16', () =>
    expectTokens(reference(name), expectedCases(reference(name)), 'fp16'));
});

describe('each variant of the architecture and the weight formats matches transformers', () => {
  test.each(readdirSync(variants))('%s', async (name) => {
    const folder = path.join(variants, name);
    await expectConformance(folder, expectedCases(folder));
  });
});

/** The largest relative error of the logits after a prompt that each precision may have, with random weights. */
const maxErrors = { fp16: 0.01, int8: 0.15, 'int8-fast': 0.15 } as const;

describe.each(['fp16', 'int8', 'int8-fast'] as const)('%s stays close to transformers', (precision) => {
  const folders = [
    ...['opt-mini', 'opt-mini-postln'].map(reference),
    ...readdirSync(variants).map((name) => path.join(variants, name)),
  ];

  test.each(folders.map((folder) => [path.basename(folder), folder] as const))('%s', async (_, folder) => {
    const cases = expectedCases<ModelCase>(folder);
    const logits = await promptLogits(folder, cases, { precision });
    for (const [i, each] of cases.entries()) {
      expect(logitErrors(logits[i], each).relative).toBeLessThan(maxErrors[precision]);
    }
  });
});
