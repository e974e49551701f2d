import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf, readableSize } from '../core/index.ts';
import type { Int8Range, Precision } from './graph/linear-layers.ts';
import type { OnProgress } from './graph/opt-graph.ts';
import { cachedGraph } from './graph-cache.ts';
import { type OptConfig, readOptConfig } from './opt-config.ts';
import { numParameters } from './parameters.ts';
import { findWeights } from './weights/index.ts';

/** A model ready to be loaded by an engine. */
export interface Model {
  readonly name: string;
  readonly config: OptConfig;
  readonly precision: Precision;
  /** The ONNX file; its weights lie beside it. */
  readonly graphPath: string;
}

export interface OpenOptions {
  /** By default the folder's. */
  readonly name?: string;
  /** By default fp32. */
  readonly precision?: Precision;
  /** By default what all processors can do. */
  readonly int8Range?: Int8Range;
  /** What the process may use; no limit by default. */
  readonly memoryBytes?: number;
  /** Called while the graph is built. */
  readonly onProgress?: OnProgress;
  /** Called while new or changed weights are hashed, with bytes. */
  readonly onHashing?: OnProgress;
  /** Called with one line if the cached graph is damaged, before it is rebuilt. */
  readonly onDamage?: (problem: string) => void;
}

/**
 * Opens a Hugging Face OPT folder; builds its graph unless the cache has it.
 * @throws {ModelError} not a folder that can be served; the message says why
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
  const config = await readOptConfig(folder);
  expectMemoryFor(config, { precision, memoryBytes });
  const files = await findWeights(folder);
  const source = { config, files, precision, int8Range, onProgress };
  const graphPath = await cachedGraph(cacheDir, {
    ...source,
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
  if (!stats.isDirectory()) throw new ModelError(`${folder} is a file: give the folder of a Hugging Face OPT model`);
}

/** @throws {ModelError} the weights alone are larger than the memory */
export function expectMemoryFor(
  config: OptConfig,
  { precision, memoryBytes }: { readonly precision: Precision; readonly memoryBytes: number },
): void {
  const needed = weightsBytes(config, precision);
  if (needed > memoryBytes) {
    throw new ModelError(
      `the model has ${numParameters(config).toLocaleString('en')} weights, ${readableSize(needed)} in ${precision}, and this process may use ${readableSize(memoryBytes)} of memory`,
    );
  }
}

const weightBytes: Readonly<Record<Precision, number>> = { fp32: 4, fp16: 2, int8: 1, 'int8-fast': 1 };

/** What the weights take in memory; of the tables that are looked up, only the rows in use are in it. */
export function weightsBytes(config: OptConfig, precision: Precision): number {
  return numParameters(config) * weightBytes[precision];
}

/** What a model's folder holds. */
export interface ModelFiles {
  readonly config: OptConfig;
  readonly weights: readonly { readonly path: string; readonly bytes: number }[];
}

/** Looks at a folder without reading its weights. @throws {ModelError} not the folder of an OPT with all its weights */
export async function inspectModel(folder: string): Promise<ModelFiles> {
  const config = await readOptConfig(folder);
  const { paths } = await findWeights(folder);
  const weights = paths.map(async (file) => {
    const stats = await stat(file).catch(() => undefined);
    if (stats === undefined) throw new ModelError(`${file} is missing`);
    return { path: file, bytes: stats.size };
  });
  return { config, weights: await Promise.all(weights) };
}
