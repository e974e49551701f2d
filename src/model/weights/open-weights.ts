import { existsSync } from 'node:fs';
import path from 'node:path';
import { ModelError, readJsonFile, show } from '../../core/index.ts';
import { PytorchWeights } from './pytorch-bin.ts';
import { SafetensorsWeights } from './safetensors.ts';
import { ShardedWeights, type Weights } from './weights.ts';

interface WeightsFormat {
  /** The file of an unsharded model; a sharded one has `<file>.index.json` instead. */
  readonly file: string;
  open(path: string): Promise<Weights>;
}

/** In the order in which they are looked for. */
const formats: readonly WeightsFormat[] = [
  { file: 'model.safetensors', open: SafetensorsWeights.open },
  { file: 'pytorch_model.bin', open: PytorchWeights.open },
];

/** The files of a folder that hold its weights. */
export interface WeightsFiles {
  readonly paths: readonly string[];
  open(): Promise<Weights>;
}

/** @throws {ModelError} the folder has no weights in a format that can be read */
export async function findWeights(folder: string): Promise<WeightsFiles> {
  for (const format of formats) {
    const whole = path.join(folder, format.file);
    if (existsSync(whole)) return { paths: [whole], open: () => format.open(whole) };
    const index = `${format.file}.index.json`;
    if (existsSync(path.join(folder, index))) return shardedFiles(folder, index, format);
  }
  const names = formats.map(({ file }) => file).join(' or ');
  throw new ModelError(`${folder} has no weights: expected ${names}, or one of them in shards with its .index.json`);
}

/** Format: https://huggingface.co/docs/transformers/big_models, "weight_map": tensor name to file. */
async function shardedFiles(folder: string, index: string, format: WeightsFormat): Promise<WeightsFiles> {
  const fileOf = await readWeightMap(folder, index);
  const files = [...new Set(fileOf.values())].sort();
  return {
    paths: files.map((file) => path.join(folder, file)),
    open: async () => {
      const shards = new Map<string, Weights>();
      for (const file of files) shards.set(file, await format.open(path.join(folder, file)));
      const shardOf = new Map<string, Weights>();
      for (const [name, file] of fileOf) {
        const shard = shards.get(file);
        if (shard !== undefined) shardOf.set(name, shard);
      }
      return new ShardedWeights([...shards.values()], shardOf);
    },
  };
}

async function readWeightMap(folder: string, index: string): Promise<Map<string, string>> {
  const map = (await readJsonFile(folder, index))?.weight_map;
  if (typeof map !== 'object' || map === null) throw new ModelError(`${path.join(folder, index)} has no weight_map`);
  const fileOf = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    // A shard is a file beside its index: a path could name any file of the machine.
    if (typeof file !== 'string' || path.basename(file) !== file) {
      throw new ModelError(`${index}: tensor ${name} is said to be in ${show(file)}, which is no file name`);
    }
    fileOf.set(name, file);
  }
  return fileOf;
}
