import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf, type Precision, readableSize } from '../core/index.ts';
import { describeModel } from './describe.ts';
import type { Int8Range } from './graph/linear-layers.ts';
import { cachedGraph } from './graph-cache.ts';
import type { ModelConfig } from './model-config.ts';
import { findWeights } from './weights/index.ts';
import type { OnProgress } from './write-graph.ts';

/** A model ready to be loaded by an engine. */
export interface Model {
  readonly name: string;
  readonly config: ModelConfig;
  readonly precision: Precision;
  /** The ONNX file; its weights are in the same folder. */
  readonly graphPath: string;
}

export interface OpenOptions {
  /** The folder's name by default. */
  readonly name?: string;
  /** fp32 by default. */
  readonly precision?: Precision;
  /** By default the range that every processor supports. */
  readonly int8Range?: Int8Range;
  /** The memory that the process may use; unlimited by default. */
  readonly memoryBytes?: number;
  /** Called while the graph is built. */
  readonly onProgress?: OnProgress;
  /** Called with byte counts while new or changed weights are hashed. */
  readonly onHashing?: OnProgress;
  /** Called with one line if the cached graph is damaged, before it is rebuilt. */
  readonly onDamage?: (problem: string) => void;
}

/**
 * Opens the folder of a Hugging Face model and builds its graph unless the cache has it.
 * @throws {ModelError} the model cannot be served; the message says why
 */
export async function openModel(folder: string, cacheDir: string, options: OpenOptions = {}): Promise<Model> {
  const {
    name = path.basename(path.resolve(folder)),
    precision = 'fp32',
    int8Range = 63,
    memoryBytes = Number.POSITIVE_INFINITY,
    onProgress = () => {},
    onHashing = () => {},
    onDamage = () => {},
  } = options;
  await expectFolder(folder);
  const description = await describeModel(folder);
  const { config } = description;
  expectMemoryFor(config, { precision, memoryBytes });
  const graphPath = await cachedGraph(cacheDir, {
    description,
    files: await findWeights(folder),
    precision,
    int8Range,
    onProgress,
    modelName: name,
    modelFolder: folder,
    onHashing,
    onDamage,
  });
  return { name, config, precision, graphPath };
}

async function expectFolder(folder: string): Promise<void> {
  const stats = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new ModelError(`there is no model folder ${folder}`);
    throw new ModelError(`${folder} cannot be read: ${messageOf(error)}`);
  });
  if (!stats.isDirectory()) throw new ModelError(`${folder} is a file: give the folder of a Hugging Face model`);
}

/** @throws {ModelError} the weights alone are larger than the memory */
export function expectMemoryFor(
  config: ModelConfig,
  { precision, memoryBytes }: { readonly precision: Precision; readonly memoryBytes: number },
): void {
  const needed = weightsBytes(config, precision);
  if (needed > memoryBytes) {
    throw new ModelError(
      `the model has ${config.numParameters.toLocaleString('en')} weights, ${readableSize(needed)} in ${precision}, and this process may use ${readableSize(memoryBytes)} of memory`,
    );
  }
}

const weightBytes: Readonly<Record<Precision, number>> = { fp32: 4, fp16: 2, int8: 1, 'int8-fast': 1 };

/** The memory that the weights take. Of a table that is only looked up, just the rows in use are loaded. */
export function weightsBytes({ numParameters }: ModelConfig, precision: Precision): number {
  return numParameters * weightBytes[precision];
}

/** The contents of a model's folder. */
export interface ModelFiles {
  readonly config: ModelConfig;
  readonly weights: readonly { readonly path: string; readonly bytes: number }[];
}

/** Looks at a folder without reading its weights. @throws {ModelError} not a supported model with all its weights */
export async function inspectModel(folder: string): Promise<ModelFiles> {
  const { config } = await describeModel(folder);
  const { paths } = await findWeights(folder);
  const weights = paths.map(async (file) => {
    const stats = await stat(file).catch(() => undefined);
    if (stats === undefined) throw new ModelError(`${file} is missing`);
    return { path: file, bytes: stats.size };
  });
  return { config, weights: await Promise.all(weights) };
}
