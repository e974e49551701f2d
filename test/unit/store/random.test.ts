import { open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { publishedConfig, publishedShapes, readModelConfig } from '../../../src/model/index.ts';
import { SafetensorsWeights } from '../../../src/model/weights/safetensors.ts';
import { fillNormal, randomSource } from '../../../src/store/random/normal.ts';
import { writeSafetensors } from '../../../src/store/random/safetensors-writer.ts';
import { temporaryFolder } from '../../support/fixtures.ts';

test('the shapes have as many weights as the published models', async () => {
  const folder = await temporaryFolder();
  const counts = [];
  for (const shape of publishedShapes()) {
    await writeFile(path.join(folder, 'config.json'), JSON.stringify(publishedConfig(shape)));
    counts.push([shape, (await readModelConfig(folder)).numParameters]);
  }
  expect(counts).toEqual([
    ['opt-125m', 125_239_296],
    ['opt-350m', 331_196_416],
    ['opt-1.3b', 1_315_758_080],
  ]);
});

describe('random numbers', () => {
  const numbers = (seed: number, stream: number, count = 100_000) => {
    const values = new Float32Array(count);
    fillNormal(values, randomSource(seed, stream));
    return values;
  };

  test('are normally distributed', () => {
    const values = numbers(1, 2);
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    expect(moment(1)).toBeCloseTo(0, 1);
    expect(moment(2)).toBeCloseTo(1, 1);
    expect(moment(3)).toBeCloseTo(0, 1);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.1);
  });

  test('depend on seed and stream only', () => {
    expect(numbers(7, 3, 5)).toEqual(numbers(7, 3, 5));
    const firsts = [0, 1, 2 ** 32 - 1].flatMap((seed) => [0, 1, 200].map((stream) => numbers(seed, stream, 1)[0]));
    expect(new Set(firsts).size).toBe(firsts.length);
  });

  test('never change: if they do, random-model needs a new version', () => {
    expect([...numbers(0, 0, 4)].map((value) => value.toFixed(4))).toEqual(['0.7327', '-0.4125', '0.6499', '-0.7525']);
  });

  test('fill an odd length', () => {
    expect(numbers(0, 0, 3)).toEqual(numbers(0, 0, 4).subarray(0, 3));
  });
});

test('a file written in blocks can be read as a whole', async () => {
  const file = path.join(await temporaryFolder(), 'model.safetensors');
  const handle = await open(file, 'wx');
  const tensors = [
    { name: 'a', shape: [2, 3], first: 0 },
    { name: 'b', shape: [4], first: 100 },
  ];
  await writeSafetensors(handle, tensors, function* ({ shape, first }) {
    const count = shape.reduce((a, b) => a * b, 1);
    const block = new Float32Array(1);
    for (let i = 0; i < count; i++) {
      block[0] = first + i;
      yield block;
    }
  });
  await handle.close();
  const weights = await SafetensorsWeights.open(file);
  expect(weights.info('a')).toMatchObject({ shape: [2, 3] });
  expect([...(await weights.read('a'))]).toEqual([0, 1, 2, 3, 4, 5]);
  expect([...(await weights.read('b'))]).toEqual([100, 101, 102, 103]);
  await weights.close();
});
