import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, readableSize } from '../core/index.ts';
import type { OnProgress } from './graph/opt-graph.ts';
import { cachedGraph, findCachedGraph } from './graph-cache.ts';
import { type OptConfig, readOptConfig } from './opt-config.ts';
import { numParameters } from './parameters.ts';
import { findWeights } from './weights/index.ts';

/** A model ready to be loaded by an engine. */
export interface Model {
  readonly name: string;
  readonly config: OptConfig;
  /** The ONNX file; its weights lie beside it. */
  readonly graphPath: string;
}

export interface OpenOptions {
  /** By default the folder's. */
  readonly name?: string;
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
    memoryBytes = Number.POSITIVE_INFINITY,
    onProgress = () => {},
  } = options;
  const stats = await stat(folder).catch(() => undefined);
  if (stats === undefined) throw new ModelError(`there is no model folder ${folder}`);
  if (!stats.isDirectory()) throw new ModelError(`${folder} is a file: give the folder of a Hugging Face OPT model`);
  const config = await readOptConfig(folder);
  expectMemoryFor(config, memoryBytes);
  const graphPath = await cachedGraph(cacheDir, { config, files: await findWeights(folder), onProgress });
  return { name, config, graphPath };
}

/** @throws {ModelError} the weights alone are larger than the memory */
export function expectMemoryFor(config: OptConfig, memoryBytes: number): void {
  const needed = weightsBytes(config);
  if (needed > memoryBytes) {
    throw new ModelError(
      `the model has ${numParameters(config).toLocaleString('en')} weights, ${readableSize(needed)} in fp32, and this process may use ${readableSize(memoryBytes)} of memory`,
    );
  }
}

/** What the weights take in memory. */
export function weightsBytes(config: OptConfig): number {
  return numParameters(config) * Float32Array.BYTES_PER_ELEMENT;
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

/**
 * The folder of a model's graph; undefined if the cache does not have it, or nothing is remembered of the weights.
 * @throws {ModelError} not the folder of an OPT
 */
export async function findGraph(folder: string, cacheDir: string): Promise<string | undefined> {
  return findCachedGraph(cacheDir, { config: await readOptConfig(folder), files: await findWeights(folder) });
}

/** Removes a model's graph from the cache, where {@link findGraph} finds it. */
export async function removeGraph(folder: string, cacheDir: string): Promise<void> {
  const graph = await findGraph(folder, cacheDir).catch(() => undefined);
  if (graph !== undefined) await rm(graph, { recursive: true, force: true });
}
