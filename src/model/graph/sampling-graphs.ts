import { attribute, elementType, encodeModel } from '../onnx-schema.ts';
import { int64Constant, node } from './graph-nodes.ts';

/**
 * A graph that turns logits into probabilities: `rows` float32 [n, vocabulary], divided by `temperature` [n, 1], give their softmax
 * `weights`. ONNX Runtime computes every row by itself, so a row's numbers do not depend on other rows.
 * @returns the bytes of an `.onnx` file
 */
export function weightsGraph(): Uint8Array {
  const shape = ['n', 'vocabulary'];
  return encodeModel({
    initializers: [],
    inputs: [
      { name: 'rows', type: 'float32', shape },
      { name: 'temperature', type: 'float32', shape: ['n', 1] },
    ],
    nodes: [
      node('Div', ['rows', 'temperature'], 'scaled'),
      { ...node('Softmax', ['scaled'], 'weights'), attribute: [attribute('axis', -1)] },
    ],
    outputs: [{ name: 'weights', type: 'float32', shape }],
  });
}

/**
 * A graph that finds what log probabilities are computed from. ONNX Runtime computes every row by itself, so a row's numbers do not depend on
 * other rows.
 *
 * | input or output | | |
 * | --- | --- | --- |
 * | `rows` | float32 [n, vocabulary] | logits |
 * | `logit` | float32 [n, 1] | that of one token of each row |
 * | `num_likelier` | float32 [n, 1] | how many tokens of the row have a larger one |
 * | `largest_logit` | float32 [n, 1] | |
 * | `largest_logprob` | float32 [n, 1] | the log probability of the token with the largest logit |
 */
export function scoreGraph(): Uint8Array {
  const column = { type: 'float32', shape: ['n', 1] } as const;
  return encodeModel({
    initializers: [int64Constant('last_axis', -1)],
    inputs: [
      { name: 'rows', type: 'float32', shape: ['n', 'vocabulary'] },
      { name: 'logit', ...column },
    ],
    nodes: [
      { ...node('LogSoftmax', ['rows'], 'logprobs'), attribute: [attribute('axis', -1)] },
      node('ReduceMax', ['logprobs', 'last_axis'], 'largest_logprob'),
      node('ReduceMax', ['rows', 'last_axis'], 'largest_logit'),
      node('Greater', ['rows', 'logit'], 'is_likelier'),
      { ...node('Cast', ['is_likelier'], 'likelier'), attribute: [attribute('to', elementType.float32)] },
      node('ReduceSum', ['likelier', 'last_axis'], 'num_likelier'),
    ],
    outputs: [
      { name: 'largest_logprob', ...column },
      { name: 'largest_logit', ...column },
      { name: 'num_likelier', ...column },
    ],
  });
}
