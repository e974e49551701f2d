import { GraphWriter } from '../model/index.ts';

/** A product of an input [rows, from] with a weight [to, from]. */
export interface ProductShape {
  readonly rows: number;
  readonly from: number;
  readonly to: number;
}

/** The names of a product's input and output in the graph. */
export function productNames(index: number): { readonly input: string; readonly output: string } {
  return { input: `input.${index}`, output: `output.${index}` };
}

/**
 * Writes a graph of independent float32 products.
 * @param folder an existing folder; receives `model.onnx` and its weights
 * @returns the path of the graph
 */
export async function writeProducts(folder: string, shapes: readonly ProductShape[]): Promise<string> {
  const graph = await GraphWriter.create(folder);
  try {
    for (const [i, { rows, from, to }] of shapes.entries()) {
      const { input, output } = productNames(i);
      graph.input({ name: input, type: 'float32', shape: [rows, from] });
      await graph.weight(`weight.${i}`, [to, from], new Float32Array(to * from).fill(0.01));
      graph.output({ name: output, type: 'float32', shape: [rows, to] });
      graph.node('Gemm', output, [input, `weight.${i}`], { transB: 1 });
    }
    await graph.finish();
  } finally {
    await graph.close();
  }
  return graph.path;
}
