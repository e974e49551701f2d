import type { GraphWriter } from './graph-writer.ts';

/** What linear layers, the head among them, compute in: see docs/precision.md. */
export const precisions = ['fp32', 'int8', 'int8-fast'] as const;
export type Precision = (typeof precisions)[number];

/** The weights of a linear layer in PyTorch's layout. */
export interface LinearWeights {
  /** [to, from] */
  readonly weight: Float32Array;
  /** [to] */
  readonly bias?: Float32Array | undefined;
  readonly from: number;
  readonly to: number;
}

/** Writes linear layers of one precision. */
export interface LinearLayers {
  /**
   * `input · weightᵀ + bias` for each row of the input.
   * @param input of shape [rows, from]; its rows are those of the graph's input `rowsOf`
   * @returns the output, [rows, to], which has the name of the layer if that is the name of an output of the graph
   */
  write(
    name: string,
    input: { readonly value: string; readonly rowsOf: string },
    weights: LinearWeights,
  ): Promise<string>;
}

export function linearLayers(graph: GraphWriter, precision: Precision): LinearLayers {
  switch (precision) {
    case 'fp32':
      return new Fp32Layers(graph);
    case 'int8':
      return new Int8Layers(graph);
    case 'int8-fast':
      return new FastInt8Layers(graph);
  }
}

class Fp32Layers implements LinearLayers {
  readonly #graph: GraphWriter;

  constructor(graph: GraphWriter) {
    this.#graph = graph;
  }

  async write(
    name: string,
    { value }: { readonly value: string },
    { weight, bias, from, to }: LinearWeights,
  ): Promise<string> {
    const inputs = [value, await this.#graph.weight(`${name}.weight`, [to, from], weight)];
    if (bias !== undefined) inputs.push(await this.#graph.weight(`${name}.bias`, [to], bias));
    return this.#graph.node('Gemm', name, inputs, { transB: 1 });
  }
}

/** Weights and activations in 8 bits, the activations by one scale for all rows: what a row gives depends on the rows beside it. */
class FastInt8Layers implements LinearLayers {
  readonly #graph: GraphWriter;

  constructor(graph: GraphWriter) {
    this.#graph = graph;
  }

  async write(name: string, { value }: { readonly value: string }, weights: LinearWeights): Promise<string> {
    const inputs = [value, ...(await writeQuantized(this.#graph, name, weights)), ''];
    if (weights.bias !== undefined) inputs.push(await this.#graph.weight(`${name}.bias`, [weights.to], weights.bias));
    return this.#graph.node('com.microsoft.DynamicQuantizeMatMul', name, inputs);
  }
}

/**
 * Weights and activations in 8 bits, the activations by a scale for each row: what a row gives depends on nothing but the row.
 * With m the largest magnitude of the row, it is quantized to 128 + round(127 · x / m), multiplied in whole numbers, and scaled back.
 */
class Int8Layers implements LinearLayers {
  readonly #graph: GraphWriter;
  readonly #zeroPoints = new Map<string, string>();

  constructor(graph: GraphWriter) {
    this.#graph = graph;
    graph.constant('int8.last_axis', [1], BigInt64Array.of(-1n));
    graph.constant('int8.step', [], Float32Array.of(1 / 127));
    // A row of zeros has no scale of its own.
    graph.constant('int8.smallest_scale', [], Float32Array.of(1e-30));
    graph.constant('int8.one', [], Float32Array.of(1));
    graph.constant('int8.zero_point', [1], Uint8Array.of(128));
  }

  async write(
    name: string,
    { value, rowsOf }: { readonly value: string; readonly rowsOf: string },
    weights: LinearWeights,
  ): Promise<string> {
    const graph = this.#graph;
    const [weight, weightScale] = await writeQuantized(graph, name, weights);
    const largest = graph.node('ReduceMax', `${name}.largest`, [value, 'int8.last_axis'], { keepdims: 0 });
    const smallest = graph.node('ReduceMin', `${name}.smallest`, [value, 'int8.last_axis'], { keepdims: 0 });
    const negated = graph.node('Neg', `${name}.negated`, [smallest]);
    const magnitude = graph.node('Max', `${name}.magnitude`, [largest, negated, 'int8.smallest_scale']);
    const scale = graph.node('Mul', `${name}.scale`, [magnitude, 'int8.step']);
    const quantized = graph.node('QuantizeLinear', `${name}.quantized`, [value, scale, this.#zeroPointsOf(rowsOf)], {
      axis: 0,
    });
    const product = graph.node('com.microsoft.MatMulIntegerToFloat', `${name}.product`, [
      quantized,
      weight,
      'int8.one',
      weightScale,
      'int8.zero_point',
    ]);
    const column = graph.node('Unsqueeze', `${name}.scale_column`, [scale, 'int8.last_axis']);
    if (weights.bias === undefined) return graph.node('Mul', name, [product, column]);
    const scaled = graph.node('Mul', `${name}.scaled`, [product, column]);
    return graph.node('Add', name, [scaled, await graph.weight(`${name}.bias`, [weights.to], weights.bias)]);
  }

  /** One zero point per row, as QuantizeLinear wants it: the same for all layers. */
  #zeroPointsOf(rowsOf: string): string {
    const known = this.#zeroPoints.get(rowsOf);
    if (known !== undefined) return known;
    const shape = this.#graph.node('Shape', `int8.${rowsOf}.shape`, [rowsOf]);
    const zeroPoints = this.#graph.node('Expand', `int8.${rowsOf}.zero_points`, ['int8.zero_point', shape]);
    this.#zeroPoints.set(rowsOf, zeroPoints);
    return zeroPoints;
  }
}

/** Weights as int8 [from, to] with a scale for each of the columns. @returns their names */
async function writeQuantized(
  graph: GraphWriter,
  name: string,
  { weight, from, to }: LinearWeights,
): Promise<[string, string]> {
  const values = new Int8Array(from * to);
  const scales = new Float32Array(to);
  for (let column = 0; column < to; column++) {
    const row = weight.subarray(column * from, (column + 1) * from);
    let largest = 0;
    for (const value of row) largest = Math.max(largest, Math.abs(value));
    const scale = largest === 0 ? 1 : largest / 127;
    scales[column] = scale;
    for (let i = 0; i < from; i++) values[i * to + column] = Math.round((row[i] ?? 0) / scale);
  }
  return [
    await graph.weight(`${name}.weight`, [from, to], values),
    await graph.weight(`${name}.weight_scale`, [to], scales),
  ];
}
