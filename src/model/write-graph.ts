import type { GraphIo } from './graph/graph-io.ts';
import { type GraphFiles, GraphWriter } from './graph/graph-writer.ts';
import { computeTypeOf } from './graph/linear-layers.ts';
import { type OptSource, writeOptGraph } from './graph/opt-graph.ts';
import type { OptConfig } from './opt-config.ts';
import { OptWeights } from './opt-weights.ts';
import type { WeightsFiles } from './weights/index.ts';

/** What a graph is made of, as files. */
export interface GraphSource extends Omit<OptSource, 'weights'> {
  readonly files: WeightsFiles;
}

/**
 * Writes the graph of a model.
 * @param folder an existing folder, which gets `model.onnx` and `model.onnx.data`
 * @returns what the files hold
 * @throws {ModelError} the weights are broken
 */
export async function writeGraph(
  folder: string,
  { files, ...source }: GraphSource,
  Io: new (graph: GraphWriter, config: OptConfig) => GraphIo,
): Promise<GraphFiles> {
  const weights = await files.open();
  try {
    const graph = await GraphWriter.create(folder, computeTypeOf(source.precision));
    try {
      return await writeOptGraph(graph, { ...source, weights: new OptWeights(weights) }, new Io(graph, source.config));
    } finally {
      await graph.close();
    }
  } finally {
    await weights.close();
  }
}
