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

/** The number of weights of the network; tied embeddings count once. */
export function numParameters(config: OptConfig): number {
  const { vocabSize, wordEmbedDim, hiddenSize, ffnDim, maxPositions, numLayers, hasBias, hasLayerNormWeights } = config;
  const bias = hasBias ? 1 : 0;
  const norm = hasLayerNormWeights ? 2 * hiddenSize : 0;
  const layer =
    4 * hiddenSize * (hiddenSize + bias) + 2 * hiddenSize * ffnDim + bias * (hiddenSize + ffnDim) + 2 * norm;
  const projections = wordEmbedDim === hiddenSize ? 0 : 2 * wordEmbedDim * hiddenSize;
  const embeddings = vocabSize * wordEmbedDim * (config.tieWordEmbeddings ? 1 : 2) + (maxPositions + 2) * hiddenSize;
  return embeddings + projections + numLayers * layer + (config.hasFinalLayerNorm ? norm : 0);
}
