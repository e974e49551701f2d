import { ModelError } from '../../core/index.ts';
import type { ModelConfig } from '../model-config.ts';
import { type GraphIo, kvParts, type SampledRows } from './graph-io.ts';
import type { GraphWriter } from './graph-writer.ts';

/**
 * The graph that other programs run: the inputs and outputs of a decoder exported by Hugging Face Optimum. A run takes the KV cache as
 * an input and returns a longer copy.
 *
 * | input or output | shape | |
 * | --- | --- | --- |
 * | `input_ids` | int64 [B, S] | |
 * | `attention_mask` | int64 [B, P + S] | 0 where a row is padded on the left |
 * | `past_key_values.L.key`, `.value` | float32 [B, heads, P, head size] | |
 * | `logits` | float32 [B, S, vocabulary] | |
 * | `present.L.key`, `.value` | float32 [B, heads, P + S, head size] | |
 *
 * `MultiHeadAttention`: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
export class ConcatenatedIo implements GraphIo {
  readonly tokens = 'input_ids';
  readonly head = 'flat_logits';
  readonly #graph: GraphWriter;
  readonly #config: ModelConfig;

  /** @throws {ModelError} heads share keys and values, which MultiHeadAttention does not support */
  constructor(graph: GraphWriter, config: ModelConfig) {
    if (config.numKvHeads !== config.numHeads) {
      throw new ModelError(
        `a model whose ${config.numHeads} heads share ${config.numKvHeads} key and value heads cannot be exported`,
      );
    }
    this.#graph = graph;
    this.#config = config;
  }

  begin(): { ids: string; positions: string } {
    const graph = this.#graph;
    const { numHeads, headSize } = this.#config;
    graph.input({ name: 'input_ids', type: 'int64', shape: ['batch', 'tokens'] });
    graph.input({ name: 'attention_mask', type: 'int64', shape: ['batch', 'all_tokens'] });
    for (const [name, ...values] of [
      ['flat', -1n],
      ['first', 0n],
      ['second', 1n],
      ['end', 2n ** 62n],
      ['hidden_shape', -1n, BigInt(numHeads * headSize)],
      ['last', -1n],
      ['heads', BigInt(numHeads)],
      ['head_size', BigInt(headSize)],
    ] as const)
      graph.constant(name, [values.length], BigInt64Array.from(values));
    const shape = graph.node('Shape', 'shape', ['input_ids']);
    graph.node('Concat', 'rows', [shape, 'last'], { axis: 0 });
    graph.node('Cast', 'mask', ['attention_mask'], { to: int32 });
    // A position is the number of preceding tokens that are not padding.
    const counted = graph.node('CumSum', 'counted', ['attention_mask', 'second']);
    const fromZero = graph.node('Sub', 'from_zero', [counted, 'second']);
    const numTokens = graph.node('Gather', 'num_tokens', ['shape', 'second']);
    const numRows = graph.node('Gather', 'num_rows', ['shape', 'first']);
    const numAll = graph.node('Gather', 'num_all', [graph.node('Shape', 'mask_shape', ['attention_mask']), 'second']);
    const numPast = graph.node('Sub', 'num_past', [numAll, numTokens]);
    graph.node('Concat', 'past_shape', [numRows, 'heads', numPast, 'head_size'], { axis: 0 });
    const start = graph.node('Neg', 'start', [numTokens]);
    const ofThisRun = graph.node('Slice', 'of_this_run', [fromZero, start, 'end', 'second']);
    const positive = graph.node('Max', 'positive', [ofThisRun, 'first']);
    return {
      ids: graph.node('Reshape', 'flat_ids', ['input_ids', 'flat']),
      positions: graph.node('Reshape', 'flat_positions', [positive, 'flat']),
    };
  }

  attend(layer: number, qkv: string): string {
    const at = `layers.${layer}.self_attn`;
    const { numHeads, headSize } = this.#config;
    const past = kvParts.map((part) =>
      this.#graph.input({
        name: `past_key_values.${layer}.${part}`,
        type: 'float32',
        shape: ['batch', numHeads, 'past_tokens', headSize],
      }),
    );
    const present = kvParts.map((part) =>
      this.#graph.output({
        name: `present.${layer}.${part}`,
        type: 'float32',
        shape: ['batch', numHeads, 'all_tokens', headSize],
      }),
    );
    // transformers.js starts with a cache of zero rows, which stands for one without tokens.
    const kept = past.map((name) =>
      this.#graph.node('Reshape', `${name}.kept`, [name, 'past_shape'], { allowzero: 1 }),
    );
    const parts = [`${at}.query`, `${at}.key`, `${at}.value`] as const;
    this.#graph.node('Split', parts, [qkv], { axis: 1, num_outputs: parts.length });
    const rows = parts.map((part) => this.#graph.node('Reshape', `${part}_rows`, [part, 'rows']));
    const attended = this.#graph.node(
      'com.microsoft.MultiHeadAttention',
      [`${at}.attended`, ...present],
      [...rows, '', 'mask', '', ...kept],
      { num_heads: numHeads, unidirectional: 1 },
    );
    return this.#graph.node('Reshape', `${at}.context`, [attended, 'hidden_shape']);
  }

  sampled(hidden: string): SampledRows {
    return { value: hidden, rowsOf: 'input_ids' };
  }

  end(): void {
    this.#graph.output({ name: 'logits', type: 'float32', shape: ['batch', 'tokens', this.#config.vocabSize] });
    this.#graph.node('Reshape', 'logits', [this.head, 'rows']);
  }
}

/** `TensorProto.DataType`, for `Cast`. */
const int32 = 6;
