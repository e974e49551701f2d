import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModel } from '../../../src/model/index.ts';
import { decodeModel, elementType, encodeModel, type Graph } from '../../../src/model/onnx-schema.ts';
import { findParameters } from '../../../src/model/weights/onnx-parameters.ts';
import { copyOf, reference, temporaryFolder, variants } from '../../support/fixtures.ts';
import { refusal } from '../../support/refusal.ts';

const mini = reference('opt-mini');
const external = path.join(variants, 'onnx-external-fp16-projected');

async function folderWithOnnx(bytes: Uint8Array): Promise<string> {
  const folder = await copyOf(mini, ['config.json']);
  await writeFile(path.join(folder, 'model.onnx'), bytes);
  return folder;
}

function graphOf(...nodes: { opType: string; name: string; input: string[] }[]): Graph {
  return {
    nodes: nodes.map((node) => ({ ...node, domain: '', output: [`${node.name}_out`], attribute: [] })),
    initializers: [],
    inputs: [],
    outputs: [],
  };
}

describe('an ONNX file is refused, with what is wrong with it:', () => {
  test('it is not an ONNX file', async () => {
    expect(await refusal(await folderWithOnnx(Buffer.from('<html>Not found</html>')))).toMatch(
      /model\.onnx is broken or not an ONNX file: .*; download it again/,
    );
  });

  test('it is empty', async () => {
    expect(await refusal(await folderWithOnnx(Buffer.alloc(0)))).toMatch(/it holds no graph/);
  });

  test.each([100, 400_000, 960_000])('it ends at byte %i', async (length) => {
    const bytes = await readFile(path.join(mini, 'onnx/model.onnx'));
    expect(await refusal(await folderWithOnnx(bytes.subarray(0, length)))).toMatch(/model\.onnx is broken/);
  });

  test('its nodes are named otherwise', async () => {
    const graph = graphOf({ opType: 'Conv', name: '/features/Conv', input: ['image', 'features.weight'] });
    expect(await refusal(await folderWithOnnx(encodeModel(graph)))).toMatch(
      /is not an export by Optimum: its nodes are not named after/,
    );
  });

  test('it is another network', async () => {
    const graph = graphOf({ opType: 'Gather', name: '/transformer/wte/Gather', input: ['table', 'ids'] });
    const table = { name: 'table', dataType: elementType.float32, dims: [2, 2], rawData: Buffer.alloc(16) };
    expect(await refusal(await folderWithOnnx(encodeModel({ ...graph, initializers: [table] })))).toBe(
      'the weights are not those of OPT: there is no model.decoder.embed_tokens.weight or decoder.embed_tokens.weight',
    );
  });

  test('its nodes run in a circle', async () => {
    const graph = graphOf(
      { opType: 'Gather', name: '/decoder/embed_tokens/Gather', input: ['a_out'] },
      { opType: 'Identity', name: 'a', input: ['a_out'] },
    );
    expect(await refusal(await folderWithOnnx(encodeModel(graph)))).toMatch(/is not an export by Optimum/);
  });

  test('it is quantized', async () => {
    const graph = graphOf({ opType: 'MatMulInteger', name: '/decoder/layers.0/fc1/MatMul_quant', input: ['a', 'b'] });
    expect(await refusal(await folderWithOnnx(encodeModel(graph)))).toMatch(
      /is quantized \(it has MatMulInteger\): get the export in fp32 or fp16/,
    );
  });

  test('its weights are missing', async () => {
    expect(await refusal(await copyOf(external, ['config.json', 'model_fp16.onnx']))).toMatch(
      /tensor .* cannot be read: ENOENT/,
    );
  });

  test('its weights are truncated', async () => {
    const folder = await copyOf(external, ['config.json', 'model_fp16.onnx', 'model_fp16.onnx_data']);
    await truncate(path.join(folder, 'model_fp16.onnx_data'), 20_000);
    expect(await refusal(folder)).toMatch(/tensor .* cannot be read: it ends at byte 20000, and \d+ bytes should/);
  });

  test('its weights are said to be in another folder', async () => {
    const folder = await copyOf(external, ['config.json', 'model_fp16.onnx_data']);
    const graph = await readFile(path.join(external, 'model_fp16.onnx'), 'latin1');
    const elsewhere = graph.replaceAll('model_fp16.onnx_data', '../../../etc/shadow!'.padEnd(20));
    await writeFile(path.join(folder, 'model_fp16.onnx'), elsewhere, 'latin1');
    expect(await refusal(folder)).toMatch(
      /tensor .* cannot be read: it is said to be in "..\/..\/..\/etc\/shadow!", which is not a file name/,
    );
  });
});

test('a graph is rebuilt when external data of the ONNX file change', async () => {
  const cache = await temporaryFolder();
  const folder = await copyOf(external, ['config.json', 'model_fp16.onnx', 'model_fp16.onnx_data']);
  const before = (await openModel(folder, cache)).graphPath;
  const data = path.join(folder, 'model_fp16.onnx_data');
  const bytes = await readFile(data);
  bytes.writeUInt16LE(0x3c00, 0);
  await writeFile(data, bytes);
  expect((await openModel(folder, cache)).graphPath).not.toBe(before);
});

test('a weight is found by every ending of the path to its module, unless the path is absurdly deep', () => {
  const table = { name: 'table', dataType: elementType.float32, dims: [1, 2], rawData: Buffer.alloc(8) };
  const namesIn = (path: string) => {
    const graph = graphOf({ opType: 'Gather', name: `${path}/Gather`, input: ['table', 'ids'] });
    const { parameters } = findParameters(decodeModel(encodeModel({ ...graph, initializers: [table] })));
    return [...parameters.keys()];
  };
  expect(namesIn('/wrapper/decoder/layers.0/fc1')).toEqual([
    'wrapper.decoder.layers.0.fc1.weight',
    'decoder.layers.0.fc1.weight',
    'layers.0.fc1.weight',
    'fc1.weight',
  ]);
  expect(namesIn('/module'.repeat(50_000))).toEqual([]);
});
