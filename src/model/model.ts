import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, readableSize } from '../core/index.ts';
import { type Int8Range, type Precision, precisions } from './graph/linear-layers.ts';
import type { OnProgress } from './graph/opt-graph.ts';
import { cachedGraph, findCachedGraph } from './graph-cache.ts';
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
  } = options;
  const stats = await stat(folder).catch(() => undefined);
  if (stats === undefined) throw new ModelError(`there is no model folder ${folder}`);
  if (!stats.isDirectory()) throw new ModelError(`${folder} is a file: give the folder of a Hugging Face OPT model`);
  const config = await readOptConfig(folder);
  expectMemoryFor(config, { precision, memoryBytes });
  const files = await findWeights(folder);
  const graphPath = await cachedGraph(cacheDir, { config, files, precision, int8Range, onProgress });
  return { name, config, precision, graphPath };
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

/** A graph that is in the cache. */
export interface BuiltGraph {
  readonly precision: Precision;
  readonly folder: string;
}

/**
 * A model's graphs, as far as the cache has them and something is remembered of the weights.
 * @throws {ModelError} not the folder of an OPT
 */
export async function findGraphs(folder: string, cacheDir: string): Promise<BuiltGraph[]> {
  const content = { config: await readOptConfig(folder), files: await findWeights(folder) };
  const found = new Map<string, BuiltGraph>();
  for (const precision of precisions) {
    for (const int8Range of [63, 127] as const) {
      const graph = await findCachedGraph(cacheDir, { ...content, precision, int8Range });
      if (graph !== undefined) found.set(graph, { precision, folder: graph });
    }
  }
  return [...found.values()];
}

/** Removes a model's graphs from the cache, where {@link findGraphs} finds them. */
export async function removeGraphs(folder: string, cacheDir: string): Promise<void> {
  const graphs = await findGraphs(folder, cacheDir).catch(() => []);
  for (const graph of graphs) await rm(graph.folder, { recursive: true, force: true });
}
