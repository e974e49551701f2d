import { readdirSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { exportModel, readModelConfig } from '../../src/model/index.ts';
import { copyOf, expectedCases, type ModelCase, reference, temporaryFolder, variants } from '../support/fixtures.ts';

/** Runs an export as other programs do: padded on the left, with the cache passed back into every run. */
class Exported {
  readonly #session: InferenceSession;
  readonly #emptyCache: Record<string, Tensor>;

  private constructor(session: InferenceSession, emptyCache: Record<string, Tensor>) {
    this.#session = session;
    this.#emptyCache = emptyCache;
  }

  /** @param numCacheRows of the empty cache: 0 in transformers.js, the number of rows in Optimum */
  static async load(folder: string, numCacheRows: number): Promise<Exported> {
    const { numLayers, numKvHeads, headSize } = await readModelConfig(folder);
    const empty = new Tensor('float32', new Float32Array(), [numCacheRows, numKvHeads, 0, headSize]);
    const layers = Array.from({ length: numLayers }, (_, layer) => `past_key_values.${layer}`);
    const names = layers.flatMap((layer) => [`${layer}.key`, `${layer}.value`]);
    const session = await InferenceSession.create(path.join(folder, 'onnx/model.onnx'));
    return new Exported(session, Object.fromEntries(names.map((name) => [name, empty])));
  }

  async generate(prompts: readonly (readonly number[])[], maxNewTokens: number): Promise<number[][]> {
    const width = Math.max(...prompts.map(({ length }) => length));
    let input = prompts.map((prompt) => [...new Array<number>(width - prompt.length).fill(1), ...prompt]);
    const mask = prompts.map((prompt) => Array.from({ length: width }, (_, i) => Number(i >= width - prompt.length)));
    let cache = this.#emptyCache;
    const generated: number[][] = prompts.map(() => []);
    for (let i = 0; i < maxNewTokens; i++) {
      const outputs = await this.#session.run({ input_ids: int64(input), attention_mask: int64(mask), ...cache });
      const next = lastTokens(outputs.logits);
      for (const [row, token] of next.entries()) {
        generated[row]?.push(token);
        mask[row]?.push(1);
      }
      input = next.map((token) => [token]);
      const renamed = Object.entries(outputs).map(([name, value]) => [
        name.replace('present', 'past_key_values'),
        value,
      ]);
      cache = Object.fromEntries(renamed.filter(([name]) => name !== 'logits'));
    }
    await this.#session.release();
    return generated;
  }
}

function int64(rows: readonly (readonly number[])[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);
}

/** The most likely next token of each row. */
function lastTokens(logits: Tensor | undefined): number[] {
  const [numRows = 0, numTokens = 0, vocabSize = 0] = logits?.dims ?? [];
  const values = logits?.data as Float32Array;
  return Array.from({ length: numRows }, (_, row) => {
    const end = (row + 1) * numTokens * vocabSize;
    const last = values.subarray(end - vocabSize, end);
    return last.indexOf(last.reduce((a, b) => Math.max(a, b)));
  });
}

describe('an exported model generates the same tokens as transformers, in rows of different lengths:', () => {
  const folders = [
    ...['opt-mini', 'opt-mini-postln'].map(reference),
    ...readdirSync(variants).map((name) => path.join(variants, name)),
  ];

  test.each(folders)('%s', async (folder) => {
    const to = path.join(await temporaryFolder(), 'exported');
    await exportModel(folder, to);
    const cases = expectedCases<ModelCase>(folder);
    const numNewTokens = Math.min(...cases.map(({ greedy_token_ids: { length } }) => length));
    const prompts = cases.map(({ prompt_token_ids: prompt }) => prompt);
    const expected = cases.map(({ greedy_token_ids: tokenIds }) => tokenIds.slice(0, numNewTokens));
    for (const numCacheRows of [cases.length, 0]) {
      const exported = await Exported.load(to, numCacheRows);
      expect(await exported.generate(prompts, numNewTokens)).toEqual(expected);
    }
  });
});

test('an export has the chat templates of the model', async () => {
  const folder = await copyOf(reference('opt-mini'), ['config.json', 'model.safetensors']);
  const templates = ['chat_template.jinja', path.join('additional_chat_templates', 'rag.jinja')];
  await mkdir(path.join(folder, 'additional_chat_templates'));
  for (const name of [...templates, 'other.jinja']) await writeFile(path.join(folder, name), name);
  const exported = path.join(await temporaryFolder(), 'exported');
  await exportModel(folder, exported);
  const found = (await readdir(exported, { recursive: true })).filter((name) => name.endsWith('.jinja'));
  expect(found.sort()).toEqual(templates.sort());
});

test('an export never overwrites anything', async () => {
  const to = path.join(await temporaryFolder(), 'exported');
  await mkdir(to);
  await exportModel(reference('opt-mini'), to);
  expect((await readdir(to)).sort()).toEqual(['config.json', 'generation_config.json', 'onnx']);
  await writeFile(path.join(to, 'mine'), '');
  await expect(exportModel(reference('opt-mini'), to)).rejects.toThrow('is not empty');
});
