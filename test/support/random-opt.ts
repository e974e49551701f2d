import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { numElements, parameterShapes, readOptConfig } from '../../src/model/index.ts';
import { fillNormal, randomSource } from '../../src/store/random/normal.ts';
import { publishedConfig } from '../../src/store/random/published-shapes.ts';
import { writeSafetensors } from '../../src/store/random/safetensors-writer.ts';
import { temporaryFolder } from './fixtures.ts';

/** Large enough for attention to prefer some tokens to others. */
const deviation = 0.1;

/** A folder with random weights in the shape of opt-125m, except for some keys of its `config.json`. It is removed after the test. */
export async function randomOpt(changes: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = path.join(await temporaryFolder(), 'random-opt');
  await mkdir(folder);
  await writeFile(path.join(folder, 'config.json'), JSON.stringify({ ...publishedConfig('opt-125m'), ...changes }));
  const shapes = parameterShapes(await readOptConfig(folder));
  const file = await open(path.join(folder, 'model.safetensors'), 'wx');
  const random = randomSource(1, 0);
  try {
    await writeSafetensors(file, shapes, ({ name, shape }) => {
      const values = new Float32Array(numElements(shape));
      fillNormal(values, random);
      const mean = name.endsWith('layer_norm.weight') ? 1 : 0;
      return [values.map((value) => mean + deviation * value)];
    });
  } finally {
    await file.close();
  }
  return folder;
}
