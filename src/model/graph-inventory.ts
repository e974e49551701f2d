import { exists, type FileContent, removeFolder } from '../files/index.ts';
import { rememberedContent } from './file-digest.ts';
import { type Precision, precisions } from './graph/linear-layers.ts';
import { graphFolder } from './graph-cache.ts';
import { findDamage } from './graph-manifest.ts';
import { readOptConfig } from './opt-config.ts';
import { findWeights } from './weights/index.ts';

/** A graph that is in the cache. */
export interface BuiltGraph {
  readonly precision: Precision;
  readonly folder: string;
}

/** What a weights file holds; undefined if that is not known. */
type ContentOf = (file: string) => Promise<FileContent | undefined>;

/**
 * Where the graphs of a model are in the cache, or would be.
 * @returns none if it is not known what the weights hold
 * @throws {ModelError} not the folder of an OPT
 */
export async function possibleGraphs(
  modelFolder: string,
  cacheDir: string,
  contentOf: ContentOf,
): Promise<BuiltGraph[]> {
  const config = await readOptConfig(modelFolder);
  const weights: FileContent[] = [];
  for (const file of (await findWeights(modelFolder)).paths) {
    const content = await contentOf(file);
    if (content === undefined) return [];
    weights.push(content);
  }
  const graphs = new Map<string, BuiltGraph>();
  for (const precision of precisions) {
    for (const int8Range of [63, 127] as const) {
      const folder = graphFolder(cacheDir, { config, precision, int8Range }, weights);
      graphs.set(folder, { precision, folder });
    }
  }
  return [...graphs.values()];
}

/**
 * A model's graphs, as far as the cache has them undamaged and something is remembered of the weights.
 * @throws {ModelError} not the folder of an OPT
 */
export async function findGraphs(modelFolder: string, cacheDir: string): Promise<BuiltGraph[]> {
  const found: BuiltGraph[] = [];
  for (const graph of await rememberedGraphs(modelFolder, cacheDir)) {
    if ((await findDamage(graph.folder, cacheDir)) === undefined) found.push(graph);
  }
  return found;
}

/** Removes a model's graphs from the cache, as far as something is remembered of the weights. */
export async function removeGraphs(modelFolder: string, cacheDir: string): Promise<void> {
  const graphs = await rememberedGraphs(modelFolder, cacheDir).catch(() => []);
  for (const { folder } of graphs) {
    if (await exists(folder)) await removeFolder(folder);
  }
}

function rememberedGraphs(modelFolder: string, cacheDir: string): Promise<BuiltGraph[]> {
  return possibleGraphs(modelFolder, cacheDir, (file) => rememberedContent(file, cacheDir));
}
