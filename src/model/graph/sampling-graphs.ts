import { attribute, encodeModel } from '../onnx-schema.ts';
import { node } from './graph-nodes.ts';

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
 * A graph that finds log probabilities. ONNX Runtime computes every row by itself, so a row's numbers do not depend on other rows.
 *
 * | input or output | | |
 * | --- | --- | --- |
 * | `rows` | float32 [n, vocabulary] | logits |
 * | `token` | int64 [n, 1] | a token of each row |
 * | `count` | int64 [1] | how many of the likeliest tokens to find |
 * | `logprob` | float32 [n, 1] | of the token: the logarithm of the softmax |
 * | `top_ids`, `top_logprobs` | int64, float32 [n, count] | the likeliest tokens, the likeliest first; of equals, the smaller id |
 */
export function scoreGraph(): Uint8Array {
  return encodeModel({
    initializers: [],
    inputs: [
      { name: 'rows', type: 'float32', shape: ['n', 'vocabulary'] },
      { name: 'token', type: 'int64', shape: ['n', 1] },
      { name: 'count', type: 'int64', shape: [1] },
    ],
    nodes: [
      { ...node('LogSoftmax', ['rows'], 'logprobs'), attribute: [attribute('axis', -1)] },
      takeAlong('logprobs', 'token', 'logprob'),
      { ...node('TopK', ['rows', 'count'], 'top_logits'), output: ['top_logits', 'top_ids'] },
      takeAlong('logprobs', 'top_ids', 'top_logprobs'),
    ],
    outputs: [
      { name: 'logprob', type: 'float32', shape: ['n', 1] },
      { name: 'top_ids', type: 'int64', shape: ['n', 'count'] },
      { name: 'top_logprobs', type: 'float32', shape: ['n', 'count'] },
    ],
  });
}

/** For each row of data, the values at the indices of the same row. */
function takeAlong(data: string, indices: string, output: string) {
  return { ...node('GatherElements', [data, indices], output), attribute: [attribute('axis', 1)] };
}
