import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { maxPromptTokens } from '../../src/engine/index.ts';
import { greedy } from '../support/builders.ts';
import { generate, logitErrors, promptLogits, sequenceOf, withRunner } from '../support/conformance.ts';
import { expectedCases, type ModelCase, reference, temporaryFolder } from '../support/fixtures.ts';
import { needWebGpu } from '../support/tools.ts';

const device = { kind: 'webgpu' } as const;
const maxBatchSize = 4;
const onDevice = { device, limits: { maxBatchSize, maxStepTokens: maxBatchSize + maxPromptTokens(device) } };
const folder = reference('opt-mini');
const cases = expectedCases<ModelCase>(folder);

describe('in the memory of a device (WebGPU)', () => {
  beforeEach((context) => needWebGpu(context));

  test('sequences that join, leave, move and come in chunks get the tokens of transformers, and nothing leaves it', async () => {
    const profiles = await temporaryFolder();
    const profilePrefix = path.join(profiles, 'run');
    const tokens = await withRunner(folder, { ...onDevice, profilePrefix }, (runner) =>
      generate(
        runner,
        cases.map((each) => sequenceOf(each)),
      ),
    );
    expect(tokens).toEqual(cases.map(({ greedy_token_ids: tokenIds }) => tokenIds));
    const nodes = await executedNodes(profiles);
    expect(new Set(nodes.map(({ provider }) => provider))).toEqual(new Set(['WebGpuExecutionProvider']));
    const operators = new Set(nodes.map(({ op_name: name }) => name));
    for (const name of ['GroupQueryAttention', 'ScatterND', 'ArgMax']) expect(operators).toContain(name);
    expect([...operators].filter((name) => name.startsWith('Memcpy'))).toEqual([]);
  });

  test('computes the logits of transformers, and brings those of rows that are drawn', async () => {
    const logits = await promptLogits(folder, cases, onDevice);
    for (const [i, each] of cases.entries()) expect(logitErrors(logits[i], each).max).toBeLessThan(1e-3);
  });

  test('some rows greedy and some drawn, in one batch: as on the CPU', async () => {
    const sequences = () =>
      cases.map((each, i) =>
        sequenceOf(each, i % 2 === 0 ? greedy : { ...greedy, temperature: 1, seed: i, topP: 0.9 }),
      );
    const expected = await withRunner(folder, {}, (runner) => generate(runner, sequences()));
    expect(await withRunner(folder, onDevice, (runner) => generate(runner, sequences()))).toEqual(expected);
  });

  test('what the device cannot compute is refused, rather than computed on the CPU', async () => {
    await expect(withRunner(folder, { ...onDevice, precision: 'int8-fast' }, async () => {})).rejects.toThrow(
      /^ONNX Runtime cannot load .*CPU EP/,
    );
  });
});

interface ProfiledNode {
  readonly provider: string;
  readonly op_name: string;
}

/** The nodes that ran, of all graphs, as ONNX Runtime profiled them. */
async function executedNodes(profiles: string): Promise<ProfiledNode[]> {
  const files = await readdir(profiles);
  expect(files.length).toBeGreaterThanOrEqual(4);
  const all = await Promise.all(
    files.map(async (file) => JSON.parse(await readFile(path.join(profiles, file), 'utf8'))),
  );
  const events: { readonly cat: string; readonly args?: Partial<ProfiledNode> }[] = all.flat();
  return events.flatMap(({ cat, args }) =>
    cat === 'Node' && args?.provider !== undefined && args.op_name !== undefined
      ? [{ provider: args.provider, op_name: args.op_name }]
      : [],
  );
}
