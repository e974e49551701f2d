import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf, show } from '../../core/index.ts';
import { readJsonFile } from '../../files/index.ts';
import { OnnxWeights } from './onnx-weights.ts';
import { PytorchWeights } from './pytorch-bin.ts';
import { SafetensorsWeights } from './safetensors.ts';
import { ShardedWeights, type Weights } from './weights.ts';

interface WeightsFormat {
  /** The file of an unsharded model, relative to the model's folder; a sharded one has `<file>.index.json` instead. */
  readonly file: string;
  /** Whether another file may hold a part of the weights in `file`. */
  readonly isCompanion: (name: string) => boolean;
  open(path: string): Promise<Weights>;
}

/** The names and folders that Optimum and transformers.js use for a decoder. */
const onnxNames = ['model', 'decoder_model_merged', 'decoder_model', 'model_fp16', 'decoder_model_merged_fp16'];
const onnxFiles = onnxNames.flatMap((name) => [`onnx/${name}.onnx`, `${name}.onnx`]);

/** In order of preference. */
const formats: readonly WeightsFormat[] = [
  { file: 'model.safetensors', isCompanion: () => false, open: SafetensorsWeights.open },
  { file: 'pytorch_model.bin', isCompanion: () => false, open: PytorchWeights.open },
  ...onnxFiles.map((file) => ({
    file,
    isCompanion: (name: string) => isExternalData(name, file),
    open: OnnxWeights.open,
  })),
];

/** `model.onnx_data` and the like, and the files in which the onnx library stores external tensors: one of any name, or one per tensor. */
function isExternalData(name: string, graph: string): boolean {
  if (name === graph || path.posix.dirname(name) !== path.posix.dirname(graph)) return false;
  return (
    name.startsWith(graph) || /\.(data|bin|weights?|bias)$|(^|\/)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name)
  );
}

/** The weights in a list of files, in the preferred format. */
export interface WeightsSelection {
  readonly format: WeightsFormat;
  /** The weights themselves, or the index of their shards. */
  readonly main: string;
  /** Shards, or files of external data. */
  readonly parts: readonly string[];
}

/** @param names the files of a model's folder, with `/` in subfolders. @returns undefined if none of them are weights */
export function selectWeights(names: readonly string[]): WeightsSelection | undefined {
  for (const format of formats) {
    const { file, isCompanion } = format;
    if (names.includes(file)) return { format, main: file, parts: names.filter(isCompanion) };
    const index = indexOf(file);
    const { name: stem, ext } = path.posix.parse(file);
    const shards = names.filter((name) => name.startsWith(`${stem}-`) && name.endsWith(ext));
    if (names.includes(index)) return { format, main: index, parts: shards };
  }
  return undefined;
}

function indexOf(file: string): string {
  return `${file}.index.json`;
}

/** The files of a folder that hold its weights. */
export interface WeightsFiles {
  readonly paths: readonly string[];
  open(): Promise<Weights>;
}

/** @throws {ModelError} the folder has no weights in a format that can be read */
export async function findWeights(folder: string): Promise<WeightsFiles> {
  const selection = selectWeights(await namesIn(folder));
  if (selection === undefined) {
    throw new ModelError(
      `${folder} has no weights: expected model.safetensors or pytorch_model.bin, or one of them in shards with its .index.json, or onnx/model.onnx`,
    );
  }
  const { format, main, parts } = selection;
  if (main === indexOf(format.file)) return shardedFiles(folder, main, format);
  return {
    paths: [main, ...parts].map((file) => path.join(folder, file)),
    open: () => format.open(path.join(folder, main)),
  };
}

async function namesIn(folder: string): Promise<string[]> {
  const [top, inOnnx] = await Promise.all([
    readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      throw new ModelError(`${folder} cannot be read: ${messageOf(error)}`);
    }),
    readdir(path.join(folder, 'onnx'), { withFileTypes: true }).catch(() => []),
  ]);
  const files = (entries: typeof top) => entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  return [...files(top), ...files(inOnnx).map((name) => `onnx/${name}`)];
}

/** Format: https://huggingface.co/docs/transformers/big_models, "weight_map": tensor name to file. */
async function shardedFiles(folder: string, index: string, format: WeightsFormat): Promise<WeightsFiles> {
  const fileOf = await readWeightMap(folder, index);
  const files = [...new Set(fileOf.values())].sort();
  return {
    paths: files.map((file) => path.join(folder, file)),
    open: async () => {
      const shards = new Map<string, Weights>();
      try {
        for (const file of files) shards.set(file, await format.open(path.join(folder, file)));
      } catch (error) {
        await Promise.all([...shards.values()].map((shard) => shard.close()));
        throw error;
      }
      const shardOf = new Map<string, Weights>();
      for (const [name, file] of fileOf) {
        const shard = shards.get(file);
        if (shard !== undefined) shardOf.set(name, shard);
      }
      return new ShardedWeights([...shards.values()], shardOf);
    },
  };
}

const maxIndexBytes = 64 * 2 ** 20;

async function readWeightMap(folder: string, index: string): Promise<Map<string, string>> {
  const map = (await readJsonFile(folder, index, { maxBytes: maxIndexBytes }))?.weight_map;
  if (typeof map !== 'object' || map === null) throw new ModelError(`${path.join(folder, index)} has no weight_map`);
  const fileOf = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    // A shard is in its index's folder: a path could name any file on the machine.
    if (typeof file !== 'string' || path.basename(file) !== file) {
      throw new ModelError(`${index}: tensor ${name} is said to be in ${show(file)}, which is not a file name`);
    }
    fileOf.set(name, file);
  }
  return fileOf;
}
