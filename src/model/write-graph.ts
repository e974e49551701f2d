import type { Precision } from '../core/index.ts';
import { NetworkBuilder } from './architectures/network-builder.ts';
import { Parameters } from './architectures/parameters.ts';
import type { ModelDescription } from './describe.ts';
import type { GraphIo } from './graph/graph-io.ts';
import { type GraphFiles, GraphWriter } from './graph/graph-writer.ts';
import { computeTypeOf, type Int8Range, linearLayers } from './graph/linear-layers.ts';
import type { ModelConfig } from './model-config.ts';
import type { WeightsFiles } from './weights/index.ts';

/** Raise this with every change of what a graph contains: graphs of another version are rebuilt. */
export const graphVersion = 8;

/** Called while a graph is built, in units of one layer. */
export type OnProgress = (done: number, total: number) => void;

/** What a graph is made from. */
export interface GraphSource {
  readonly description: ModelDescription;
  readonly files: WeightsFiles;
  readonly precision: Precision;
  readonly int8Range: Int8Range;
  readonly onProgress: OnProgress;
}

/**
 * Writes the graph of a model.
 * @param folder an existing folder, which gets `model.onnx` and `model.onnx.data`
 * @returns what the files hold
 * @throws {ModelError} the weights are broken
 */
export async function writeGraph(
  folder: string,
  source: GraphSource,
  Io: new (graph: GraphWriter, config: ModelConfig) => GraphIo,
): Promise<GraphFiles> {
  const { description, files, precision, int8Range, onProgress } = source;
  const { architecture, network, config } = description;
  // The embeddings, the layers, and the head.
  const numBlocks = config.numLayers + 2;
  let numWritten = 0;
  const onBlock = () => onProgress(++numWritten, numBlocks);
  const weights = await files.open();
  try {
    const graph = await GraphWriter.create(folder, computeTypeOf(precision));
    try {
      const linears = linearLayers(graph, { precision, int8Range });
      const parameters = new Parameters(weights, architecture, description.parameters);
      const io = new Io(graph, config);
      await network.write(new NetworkBuilder({ graph, io, linears, parameters, onBlock }));
      const content = await graph.finish();
      onProgress(numBlocks, numBlocks);
      return content;
    } finally {
      await graph.close();
    }
  } finally {
    await weights.close();
  }
}
