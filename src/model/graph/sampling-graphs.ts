import { attribute, elementType, encodeModel, type Initializer, type Node, type ValueInfo } from '../onnx-schema.ts';
import { int64Constant, node } from './graph-nodes.ts';

/** How rows are cut into segments of consecutive tokens; the last one may be shorter. */
export interface RowSegments {
  readonly vocabSize: number;
  readonly segmentSize: number;
}

/**
 * A graph that turns logits into probabilities. ONNX Runtime computes every row by itself, so a row's numbers do not depend on other rows.
 *
 * | input or output | | |
 * | --- | --- | --- |
 * | `rows` | float32 [n, vocabulary] | logits |
 * | `temperature` | float32 [n, 1] | if the graph is `scaled`; otherwise it is 1 |
 * | `weights` | float32 [n, vocabulary] | the softmax of the logits, divided by the temperature |
 * | `sums` | float32 [n, segments, 1] | of the weights |
 * | `maxima` | float32 [n, segments, 1] | of the weights |
 *
 * @returns the bytes of an `.onnx` file
 */
export function weightsGraph({ scaled, ...segments }: RowSegments & { readonly scaled: boolean }): Uint8Array {
  const cut = cutIntoSegments('weights', 0, segments);
  const rows = { name: 'rows', type: 'float32', shape: rowShape } as const;
  const temperature = { name: 'temperature', type: 'float32', shape: columnShape } as const;
  return encodeModel({
    initializers: [lastAxis, ...cut.initializers],
    inputs: scaled ? [rows, temperature] : [rows],
    nodes: [
      ...(scaled ? [node('Div', ['rows', 'temperature'], 'scaled')] : []),
      { ...node('Softmax', [scaled ? 'scaled' : 'rows'], 'weights'), attribute: [attribute('axis', -1)] },
      ...cut.nodes,
      node('ReduceSum', [cut.output, lastAxis.name], 'sums'),
      node('ReduceMax', [cut.output, lastAxis.name], 'maxima'),
    ],
    outputs: [{ name: 'weights', type: 'float32', shape: rowShape }, perSegment('sums'), perSegment('maxima')],
  });
}

/**
 * A graph that finds what log probabilities are computed from. ONNX Runtime computes every row by itself, so a row's numbers do not depend on
 * other rows.
 *
 * | input or output | | |
 * | --- | --- | --- |
 * | `rows` | float32 [n, vocabulary] | logits |
 * | `maxima` | float32 [n, segments, 1] | of the logits |
 * | `largest_logit` | float32 [n, 1] | |
 * | `largest_logprob` | float32 [n, 1] | the log probability of the token with the largest logit |
 *
 * @returns the bytes of an `.onnx` file
 */
export function scoreGraph(segments: RowSegments): Uint8Array {
  const cut = cutIntoSegments('rows', Number.NEGATIVE_INFINITY, segments);
  return encodeModel({
    initializers: [lastAxis, segmentAxis, ...cut.initializers],
    inputs: [{ name: 'rows', type: 'float32', shape: rowShape }],
    nodes: [
      { ...node('LogSoftmax', ['rows'], 'logprobs'), attribute: [attribute('axis', -1)] },
      node('ReduceMax', ['logprobs', lastAxis.name], 'largest_logprob'),
      ...cut.nodes,
      node('ReduceMax', [cut.output, lastAxis.name], 'maxima'),
      { ...node('ReduceMax', ['maxima', segmentAxis.name], 'largest_logit'), attribute: [attribute('keepdims', 0)] },
    ],
    outputs: [
      perSegment('maxima'),
      { name: 'largest_logit', type: 'float32', shape: columnShape },
      { name: 'largest_logprob', type: 'float32', shape: columnShape },
    ],
  });
}

const rowShape = ['n', 'vocabulary'];
const columnShape = ['n', 1];
const lastAxis = int64Constant('last_axis', -1);
const segmentAxis = int64Constant('segment_axis', 1);

function perSegment(name: string): ValueInfo {
  return { name, type: 'float32', shape: ['n', 'segments', 1] };
}

interface Cut {
  readonly initializers: readonly Initializer[];
  readonly nodes: readonly Node[];
  /** [n, segments, segment size] */
  readonly output: string;
}

function cutIntoSegments(rows: string, filler: number, { vocabSize, segmentSize }: RowSegments): Cut {
  const shape = int64Constant('segments_shape', 0, -1, segmentSize);
  const numMissing = -vocabSize % segmentSize;
  if (numMissing === 0)
    return { initializers: [shape], nodes: [node('Reshape', [rows, shape.name], 'cut')], output: 'cut' };
  const padding = int64Constant('padding', 0, 0, 0, segmentSize + numMissing);
  const fillerConstant = float32Constant('filler', filler);
  return {
    initializers: [shape, padding, fillerConstant],
    nodes: [
      node('Pad', [rows, padding.name, fillerConstant.name], 'padded'),
      node('Reshape', ['padded', shape.name], 'cut'),
    ],
    output: 'cut',
  };
}

function float32Constant(name: string, value: number): Initializer {
  return { name, dataType: elementType.float32, dims: [], rawData: Buffer.from(Float32Array.of(value).buffer) };
}
