import { copyFile, open, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { configFiles, tokenizerFiles } from '../../core/index.ts';
import { buildFolder, type JsonObject, readSmallFile } from '../../files/index.ts';
import { numElements, type Parameter, readParameters } from '../../model/index.ts';
import { fillNormal, randomSource } from './normal.ts';
import { writeSafetensors } from './safetensors-writer.ts';

/** What a random model is made from. */
export interface RandomModel {
  /** The name of its shape. */
  readonly shape: string;
  /** Its `config.json`. */
  readonly config: JsonObject;
  readonly seed: number;
  /** A folder whose tokenizer the model gets; ids beyond its vocabulary have no text. */
  readonly tokenizerFolder: string;
  /** May throw to cancel; nothing is left behind. */
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * Makes a Hugging Face folder with random float32 weights, block by block, unless it exists.
 * The scales of norms are distributed around 1 and all other weights around 0. Even biases are random, so that mixed-up weights show.
 */
export async function makeRandomModel(folder: string, model: RandomModel): Promise<void> {
  await buildFolder(folder, {
    write: (building) => write(building, model),
    isWhole: (candidate) => isWhole(candidate, model),
  });
}

const weightsFile = 'model.safetensors';
/** Written last; records what the folder was made from. */
const originFile = 'weft-random.json';

async function write(folder: string, { shape, config, seed, tokenizerFolder, onProgress }: RandomModel): Promise<void> {
  await writeJson(folder, configFiles.config, config);
  for (const file of [tokenizerFiles.tokenizer, tokenizerFiles.config]) {
    await copyFile(path.join(tokenizerFolder, file), path.join(folder, file));
  }
  const tensors = (await readParameters(folder)).map((tensor, stream) => ({ ...tensor, stream }));
  const total = tensors.reduce((sum, tensor) => sum + numElements(tensor.shape), 0);
  let done = 0;
  const file = await open(path.join(folder, weightsFile), 'wx');
  try {
    await writeSafetensors(file, tensors, function* (tensor) {
      for (const block of randomBlocks(tensor, randomSource(seed, tensor.stream))) {
        yield block;
        done += block.length;
        onProgress(done, total);
      }
    });
  } finally {
    await file.close();
  }
  await writeJson(folder, originFile, await originOf(folder, shape, seed));
}

const blockLength = 2 ** 20;
const deviation = 0.02;

function* randomBlocks(tensor: Parameter, random: () => number): Generator<Float32Array> {
  const mean = tensor.kind === 'scale' ? 1 : 0;
  const block = new Float32Array(blockLength);
  for (let left = numElements(tensor.shape); left > 0; left -= blockLength) {
    const values = block.subarray(0, left);
    fillNormal(values, random);
    for (let i = 0; i < values.length; i++) values[i] = mean + deviation * (values[i] ?? 0);
    yield values;
  }
}

async function isWhole(folder: string, { shape, seed }: RandomModel): Promise<boolean> {
  try {
    const written = await readSmallFile(path.join(folder, originFile), 1024);
    return written === JSON.stringify(await originOf(folder, shape, seed));
  } catch {
    return false;
  }
}

/** Raise this when the same seed gives other numbers. */
const version = 1;

async function originOf(folder: string, shape: string, seed: number) {
  return { shape, seed, version, bytes: (await stat(path.join(folder, weightsFile))).size };
}

async function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  await writeFile(path.join(folder, name), JSON.stringify(value));
}
