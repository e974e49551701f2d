import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError } from '../core/index.ts';
import type { OnProgress } from './graph/opt-graph.ts';
import { cachedGraph } from './graph-cache.ts';
import { type OptConfig, readOptConfig } from './opt-config.ts';
import { findWeights } from './weights/index.ts';

/** A model ready to be loaded by an engine. */
export interface Model {
  readonly name: string;
  readonly config: OptConfig;
  /** The ONNX file; its weights lie beside it. */
  readonly graphPath: string;
}

/**
 * Opens a Hugging Face OPT folder; builds its graph unless the cache has it.
 * @param onProgress called while the graph is built
 * @throws {ModelError} not a folder that can be served; the message says why
 */
export async function openModel(folder: string, cacheDir: string, onProgress: OnProgress = () => {}): Promise<Model> {
  const stats = await stat(folder).catch(() => undefined);
  if (stats === undefined) throw new ModelError(`there is no model folder ${folder}`);
  if (!stats.isDirectory()) throw new ModelError(`${folder} is a file: give the folder of a Hugging Face OPT model`);
  const config = await readOptConfig(folder);
  const graphPath = await cachedGraph(cacheDir, { config, files: await findWeights(folder), onProgress });
  return { name: path.basename(path.resolve(folder)), config, graphPath };
}
