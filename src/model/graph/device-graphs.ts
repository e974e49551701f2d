import { attribute, elementType, encodeModel, type Node, type ValueInfo } from '../onnx-schema.ts';
import { bytesPerElement } from '../weights/float-types.ts';
import { int64Constant, node } from './graph-nodes.ts';
import type { ComputeType } from './graph-writer.ts';

/** The names of one part of the cache in {@link blockCopyGraph}. */
export function copyNames(part: string): { readonly source: string; readonly target: string; readonly copied: string } {
  return { source: `source.${part}`, target: `target.${part}`, copied: `copied.${part}` };
}

/**
 * A graph that copies blocks of device memory. Nothing else can copy there.
 *
 * | input | shape | |
 * | --- | --- | --- |
 * | `from` | int64 [K] | blocks of the source |
 * | `to` | int64 [K, 1] | their places in the target |
 * | `source.PART` | [blocks, block size] | |
 * | `target.PART` | [blocks, block size] | bound to the same memory as the output `copied.PART` |
 *
 * ScatterND writes in place if its input and output share memory: `ScatterND::ComputeInternal` of the CUDA and WebGPU providers in
 * https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/providers
 * @returns the bytes of an `.onnx` file
 */
export function blockCopyGraph(parts: readonly string[], type: ComputeType): Uint8Array {
  const inputs: ValueInfo[] = [
    { name: 'from', type: 'int64', shape: ['blocks'] },
    { name: 'to', type: 'int64', shape: ['blocks', 1] },
  ];
  const outputs: ValueInfo[] = [];
  const nodes: Node[] = [];
  for (const part of parts) {
    const { source, target, copied } = copyNames(part);
    inputs.push({ name: source, type, shape: ['source_blocks', 'block_size'] });
    inputs.push({ name: target, type, shape: ['target_blocks', 'block_size'] });
    outputs.push({ name: copied, type, shape: ['target_blocks', 'block_size'] });
    nodes.push(gather(source, 'from', `taken.${part}`));
    nodes.push(node('ScatterND', [target, 'to', `taken.${part}`], copied));
  }
  return encodeModel({ nodes, initializers: [], inputs, outputs });
}

/** A graph that takes rows from a float32 table: `rows` [n, width] at `index` int64 [k] gives `taken` [k, width]. */
export function takeRowsGraph(): Uint8Array {
  return encodeModel({
    nodes: [gather('rows', 'index', 'taken')],
    initializers: [],
    inputs: [
      { name: 'rows', type: 'float32', shape: ['rows', 'width'] },
      { name: 'index', type: 'int64', shape: ['taken'] },
    ],
    outputs: [{ name: 'taken', type: 'float32', shape: ['taken', 'width'] }],
  });
}

/**
 * A graph that finds the most likely tokens of rows of logits.
 *
 * | input or output | | |
 * | --- | --- | --- |
 * | `rows` | float32 [n, vocabulary] | |
 * | `index` | int64 [k] | the rows to look at |
 * | `temperature` | float32 [k, 1] | |
 * | `logits`, `ids` | float32, int64 [k, count] | the most likely first |
 * | `total` | float32 [k, 1] | the sum of exp((logit - largest) / temperature) over the row |
 */
export function likeliestGraph(count: number): Uint8Array {
  const k = ['k', count];
  return encodeModel({
    initializers: [int64Constant('count', count), int64Constant('first', 0), int64Constant('last_axis', -1)],
    inputs: [
      { name: 'rows', type: 'float32', shape: ['rows', 'vocabulary'] },
      { name: 'index', type: 'int64', shape: ['k'] },
      { name: 'temperature', type: 'float32', shape: ['k', 1] },
    ],
    nodes: [
      gather('rows', 'index', 'taken'),
      { ...node('TopK', ['taken', 'count'], 'logits'), output: ['logits', 'ids'] },
      { ...node('Gather', ['logits', 'first'], 'largest'), attribute: [attribute('axis', 1)] },
      node('Sub', ['taken', 'largest'], 'relative'),
      node('Div', ['relative', 'temperature'], 'scaled'),
      node('Exp', ['scaled'], 'weights'),
      node('ReduceSum', ['weights', 'last_axis'], 'total'),
    ],
    outputs: [
      { name: 'logits', type: 'float32', shape: k },
      { name: 'ids', type: 'int64', shape: k },
      { name: 'total', type: 'float32', shape: ['k', 1] },
    ],
  });
}

/** A graph that fills memory with zeros: `zeros` has the shape `shape`, int64 [2]. */
export function zerosGraph(type: ComputeType): Uint8Array {
  const zero = {
    name: 'zero',
    dataType: elementType[type],
    dims: [1, 1],
    rawData: Buffer.alloc(bytesPerElement[type]),
  };
  return encodeModel({
    nodes: [node('Expand', ['zero', 'shape'], 'zeros')],
    initializers: [zero],
    inputs: [{ name: 'shape', type: 'int64', shape: [2] }],
    outputs: [{ name: 'zeros', type, shape: ['rows', 'width'] }],
  });
}

function gather(data: string, indices: string, output: string): Node {
  return { ...node('Gather', [data, indices], output), attribute: [attribute('axis', 0)] };
}
