import type { Precision } from '../../core/index.ts';
import type { ComputeType, GraphWriter } from './graph-writer.ts';

/** The type of everything else, including keys and values. */
export function computeTypeOf(precision: Precision): ComputeType {
  return precision === 'fp16' ? 'float16' : 'float32';
}

/** The weights of a linear layer in PyTorch's layout. */
export interface LinearWeights {
  /** [to, from] */
  readonly weight: Float32Array;
  /** [to] */
  readonly bias?: Float32Array | undefined;
  readonly from: number;
  readonly to: number;
}

/** The input of a linear layer. */
export interface LinearInput {
  /** Of shape [rows, from]. */
  readonly value: string;
  /** An input of the graph with one element per row. */
  readonly rowsOf: string;
  /** Whether negative values count as zero (ReLU). */
  readonly isRectified?: boolean;
}

export interface LinearOutput {
  /** Of shape [rows, to]; named after the layer. */
  readonly value: string;
  /** A bias [to] that is still to be added. The reader can often fuse it with its own work. */
  readonly bias?: string;
}

/** Writes linear layers of one precision: `input · weightᵀ + bias` for each row of the input. */
export interface LinearLayers {
  write(name: string, input: LinearInput, weights: LinearWeights): Promise<LinearOutput>;
}

/**
 * The largest magnitude of an 8-bit weight. Processors without VNNI (or arm64's dot products) sum two 8-bit products in 16 bits, which
 * overflows above 63.
 */
export type Int8Range = 63 | 127;

export function linearLayers(
  graph: GraphWriter,
  { precision, int8Range }: { readonly precision: Precision; readonly int8Range: Int8Range },
): LinearLayers {
  switch (precision) {
    case 'fp32':
    case 'fp16':
      return new FloatLayers(graph);
    case 'int8':
      return new Int8Layers(graph, int8Range);
    case 'int8-fast':
      return new FastInt8Layers(graph, int8Range);
  }
}

class FloatLayers implements LinearLayers {
  readonly #graph: GraphWriter;

  constructor(graph: GraphWriter) {
    this.#graph = graph;
  }

  async write(name: string, input: LinearInput, { weight, bias, from, to }: LinearWeights): Promise<LinearOutput> {
    const inputs = [
      rectified(this.#graph, name, input),
      await this.#graph.weight(`${name}.weight`, [to, from], weight),
    ];
    if (bias !== undefined) inputs.push(await this.#graph.weight(`${name}.bias`, [to], bias));
    return { value: this.#graph.node('Gemm', name, inputs, { transB: 1 }) };
  }
}

/** Weights and activations in 8 bits. All rows share one activation scale, so a row's result depends on the other rows. */
class FastInt8Layers implements LinearLayers {
  readonly #graph: GraphWriter;
  readonly #range: Int8Range;

  constructor(graph: GraphWriter, range: Int8Range) {
    this.#graph = graph;
    this.#range = range;
  }

  async write(name: string, input: LinearInput, weights: LinearWeights): Promise<LinearOutput> {
    const value = rectified(this.#graph, name, input);
    const inputs = [value, ...(await writeQuantized(this.#graph, name, { ...weights, range: this.#range })), ''];
    if (weights.bias !== undefined) inputs.push(await this.#graph.weight(`${name}.bias`, [weights.to], weights.bias));
    return { value: this.#graph.node('com.microsoft.DynamicQuantizeMatMul', name, inputs) };
  }
}

function rectified(graph: GraphWriter, name: string, { value, isRectified }: LinearInput): string {
  return isRectified ? graph.node('Relu', `${name}.rectified`, [value]) : value;
}

/**
 * Weights and activations in 8 bits. Each row has its own activation scale, so a row's result depends on that row only.
 * With m the largest magnitude of the row, x becomes 128 + round(127 · x / m). Where negative values count as zero, x becomes
 * round(255 · x / m), which clips them. Products are summed as integers and scaled back.
 */
class Int8Layers implements LinearLayers {
  readonly #graph: GraphWriter;
  readonly #range: Int8Range;
  readonly #zeroPoints = new Map<string, string>();

  constructor(graph: GraphWriter, range: Int8Range) {
    this.#graph = graph;
    this.#range = range;
    graph.constant('int8.last_axis', [1], BigInt64Array.of(-1n));
    graph.constant('int8.signed_step', [], Float32Array.of(1 / 127));
    graph.constant('int8.rectified_step', [], Float32Array.of(1 / 255));
    // Avoids a division by zero for a row of zeros.
    graph.constant('int8.smallest', [], Float32Array.of(1e-30));
    graph.constant('int8.one', [], Float32Array.of(1));
    graph.constant('int8.signed_zero', [1], Uint8Array.of(128));
    graph.constant('int8.rectified_zero', [1], Uint8Array.of(0));
  }

  async write(
    name: string,
    { value, rowsOf, isRectified = false }: LinearInput,
    weights: LinearWeights,
  ): Promise<LinearOutput> {
    const graph = this.#graph;
    const kind = isRectified ? 'rectified' : 'signed';
    const [weight, weightScale] = await writeQuantized(graph, name, { ...weights, range: this.#range });
    const largest = [graph.node('ReduceMax', `${name}.largest`, [value, 'int8.last_axis'], { keepdims: 0 })];
    if (!isRectified) {
      const smallest = graph.node('ReduceMin', `${name}.smallest`, [value, 'int8.last_axis'], { keepdims: 0 });
      largest.push(graph.node('Neg', `${name}.negated`, [smallest]));
    }
    const magnitude = graph.node('Max', `${name}.magnitude`, [...largest, 'int8.smallest']);
    const scale = graph.node('Mul', `${name}.scale`, [magnitude, `int8.${kind}_step`]);
    const quantized = graph.node(
      'QuantizeLinear',
      `${name}.quantized`,
      [value, scale, this.#zeroPointsOf(rowsOf, kind)],
      { axis: 0 },
    );
    const operands = [quantized, weight, 'int8.one', weightScale, `int8.${kind}_zero`];
    const product = graph.node('com.microsoft.MatMulIntegerToFloat', `${name}.product`, operands);
    const column = graph.node('Unsqueeze', `${name}.scale_column`, [scale, 'int8.last_axis']);
    const output = { value: graph.node('Mul', name, [product, column]) };
    if (weights.bias === undefined) return output;
    return { ...output, bias: await graph.weight(`${name}.bias`, [weights.to], weights.bias) };
  }

  /** One zero point per row, as QuantizeLinear requires; shared by all layers. */
  #zeroPointsOf(rowsOf: string, kind: 'signed' | 'rectified'): string {
    const name = `int8.${rowsOf}.${kind}_zeros`;
    const known = this.#zeroPoints.get(name);
    if (known !== undefined) return known;
    const shape = this.#graph.node('Shape', `${name}.shape`, [rowsOf]);
    this.#zeroPoints.set(name, this.#graph.node('Expand', name, [`int8.${kind}_zero`, shape]));
    return name;
  }
}

/** Writes weights as int8 [from, to] with a scale per column. @returns their names */
async function writeQuantized(
  graph: GraphWriter,
  name: string,
  { weight, from, to, range }: LinearWeights & { readonly range: Int8Range },
): Promise<[string, string]> {
  const values = new Int8Array(from * to);
  const scales = new Float32Array(to);
  for (let column = 0; column < to; column++) {
    const row = weight.subarray(column * from, (column + 1) * from);
    let largest = 0;
    for (const value of row) largest = Math.max(largest, Math.abs(value));
    const scale = largest === 0 ? 1 : largest / range;
    scales[column] = scale;
    for (let i = 0; i < from; i++) values[i * to + column] = Math.round((row[i] ?? 0) / scale);
  }
  return [
    await graph.weight(`${name}.weight`, [from, to], values),
    await graph.weight(`${name}.weight_scale`, [to], scales),
  ];
}
