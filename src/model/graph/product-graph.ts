import { GraphWriter } from './graph-writer.ts';

/**
 * Writes a graph that multiplies an `input` [rows, from] with a weight [to, from] in float32, to measure what a machine can do.
 * @param folder an existing folder, which gets `model.onnx`
 * @returns the path of the graph
 */
export async function writeProduct(
  folder: string,
  { rows, from, to }: { readonly rows: number; readonly from: number; readonly to: number },
): Promise<string> {
  const graph = await GraphWriter.create(folder);
  try {
    graph.input({ name: 'input', type: 'float32', shape: [rows, from] });
    await graph.weight('weight', [to, from], new Float32Array(to * from).fill(0.01));
    graph.output({ name: 'output', type: 'float32', shape: [rows, to] });
    graph.node('Gemm', 'output', ['input', 'weight'], { transB: 1 });
    await graph.finish();
  } finally {
    await graph.close();
  }
  return graph.path;
}
