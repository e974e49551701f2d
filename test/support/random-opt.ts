import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { numElements, publishedConfig, readParameters } from '../../src/model/index.ts';
import { fillNormal, randomSource } from '../../src/store/random/normal.ts';
import { writeSafetensors } from '../../src/store/random/safetensors-writer.ts';
import { temporaryFolder } from './fixtures.ts';

/** A folder with random weights in the shape of opt-125m, with some changes to its `config.json`. It is removed after the test. */
export function randomOpt(changes: Readonly<Record<string, unknown>>): Promise<string> {
  // Large enough for attention to prefer some tokens to others.
  return randomModel({ ...publishedConfig('opt-125m'), ...changes }, 0.1);
}

/** A folder with a `config.json` and random weights for it, of that standard deviation. It is removed after the test. */
export async function randomModel(config: Readonly<Record<string, unknown>>, deviation: number): Promise<string> {
  const folder = path.join(await temporaryFolder(), 'random');
  await mkdir(folder);
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  const file = await open(path.join(folder, 'model.safetensors'), 'wx');
  const random = randomSource(1, 0);
  try {
    await writeSafetensors(file, await readParameters(folder), ({ kind, shape }) => {
      const values = new Float32Array(numElements(shape));
      fillNormal(values, random);
      const mean = kind === 'scale' ? 1 : 0;
      return [values.map((value) => mean + deviation * value)];
    });
  } finally {
    await file.close();
  }
  return folder;
}
