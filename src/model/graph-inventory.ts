import { type Precision, precisions } from '../core/index.ts';
import { exists, type FileContent, removeFolder } from '../files/index.ts';
import { describeModel } from './describe.ts';
import { rememberedContent } from './file-digest.ts';
import { graphFolder } from './graph-cache.ts';
import { findDamage } from './graph-manifest.ts';
import { findWeights } from './weights/index.ts';

/** A graph in the cache. */
export interface BuiltGraph {
  readonly precision: Precision;
  readonly folder: string;
}

/** The content of a weights file; undefined if unknown. */
type ContentOf = (file: string) => Promise<FileContent | undefined>;

/**
 * The graphs that a model could use, whether or not they exist.
 * @returns none if the content of the weights is unknown
 * @throws {ModelError} not the folder of a supported model
 */
export async function possibleGraphs(
  modelFolder: string,
  cacheDir: string,
  contentOf: ContentOf,
): Promise<BuiltGraph[]> {
  const description = await describeModel(modelFolder);
  const weights: FileContent[] = [];
  for (const file of (await findWeights(modelFolder)).paths) {
    const content = await contentOf(file);
    if (content === undefined) return [];
    weights.push(content);
  }
  const graphs = new Map<string, BuiltGraph>();
  for (const precision of precisions) {
    for (const int8Range of [63, 127] as const) {
      const folder = graphFolder(cacheDir, { description, precision, int8Range }, weights);
      graphs.set(folder, { precision, folder });
    }
  }
  return [...graphs.values()];
}

/**
 * The undamaged graphs of a model whose weights are remembered.
 * @throws {ModelError} not the folder of a supported model
 */
export async function findGraphs(modelFolder: string, cacheDir: string): Promise<BuiltGraph[]> {
  const found: BuiltGraph[] = [];
  for (const graph of await rememberedGraphs(modelFolder, cacheDir)) {
    if ((await findDamage(graph.folder, cacheDir)) === undefined) found.push(graph);
  }
  return found;
}

/** Removes the graphs of a model whose weights are remembered. */
export async function removeGraphs(modelFolder: string, cacheDir: string): Promise<void> {
  const graphs = await rememberedGraphs(modelFolder, cacheDir).catch(() => []);
  for (const { folder } of graphs) {
    if (await exists(folder)) await removeFolder(folder);
  }
}

function rememberedGraphs(modelFolder: string, cacheDir: string): Promise<BuiltGraph[]> {
  return possibleGraphs(modelFolder, cacheDir, (file) => rememberedContent(file, cacheDir));
}
