import type { ModelConfig } from '../model-config.ts';
import { elementType } from '../onnx-schema.ts';
import { type GraphIo, kvParts, type SampledRows } from './graph-io.ts';
import type { GraphWriter } from './graph-writer.ts';

/** The two groups of rows in a run's attention: see {@link InPlaceIo}. */
export type AttentionGroup = 'decode' | 'prompt';

const groups: readonly AttentionGroup[] = ['decode', 'prompt'];

/**
 * The graph that Weft runs, with a KV cache that is written in place. A run computes the N tokens of all its rows together, decode rows
 * and prompts alike. Only attention treats them as two groups: D decode rows feed one token each, and P prompts feed S tokens each,
 * padded. R of the N tokens get logits.
 *
 * | input | shape | |
 * | --- | --- | --- |
 * | `input_ids`, `position_ids` | int64 [N] | positions count from 0 |
 * | `logit_index` | int64 [R] | the tokens that get logits |
 * | `decode.tokens` | int64 [D] | which of the N tokens the row feeds |
 * | `prompt.tokens` | int64 [P·S] | the same; padding may point to any token |
 * | `prompt.shape` | int64 [3] | P, S, -1 |
 * | `attended` | int64 [N] | the index of a token's result among the D + P·S results of both groups |
 * | `decode.seqlens_k`, `prompt.seqlens_k` | int32 [D], [P] | the number of the row's keys that are valid after this run, minus 1 |
 * | `decode.total_sequence_length`, `prompt.…` | int32 [1] | the longest of them, including padding |
 * | `decode.past.L.key`, `.value`, `prompt.past.…` | [D or P, key/value heads, T, head size], float32 or, in fp16, float16 | bound to the same memory as `….present.L.*` |
 *
 * Neither group may be empty, because GroupQueryAttention divides by its number of rows. An empty group gets one row of a spare slot,
 * to which `attended` does not point. Outputs: `logits` float32 [R, vocabulary]; `next_token` int64 [R, 1], the most likely token;
 * `next_logit` float32 [R, 1], its logit; and `….present.L.*`.
 * `GroupQueryAttention`: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
export class InPlaceIo implements GraphIo {
  readonly tokens = 'input_ids';
  /** In the compute type; `logits` is always float32. */
  readonly head: string;
  readonly #graph: GraphWriter;
  readonly #config: ModelConfig;

  constructor(graph: GraphWriter, config: ModelConfig) {
    this.#graph = graph;
    this.#config = config;
    this.head = graph.computeType === 'float32' ? 'logits' : 'narrow_logits';
  }

  begin(): { ids: string; positions: string } {
    for (const name of ['input_ids', 'position_ids', 'attended'])
      this.#graph.input({ name, type: 'int64', shape: ['tokens'] });
    this.#graph.input({ name: 'logit_index', type: 'int64', shape: ['sampled'] });
    this.#graph.input({ name: 'decode.tokens', type: 'int64', shape: ['decode_rows'] });
    this.#graph.input({ name: 'prompt.tokens', type: 'int64', shape: ['prompt_tokens'] });
    this.#graph.input({ name: 'prompt.shape', type: 'int64', shape: [3] });
    for (const group of groups) {
      this.#graph.input({ name: `${group}.seqlens_k`, type: 'int32', shape: [`${group}_rows`] });
      this.#graph.input({ name: `${group}.total_sequence_length`, type: 'int32', shape: [1] });
    }
    const { numHeads, numKvHeads, headSize } = this.#config;
    this.#graph.constant('hidden_shape', [2], BigInt64Array.of(-1n, BigInt(numHeads * headSize)));
    const qkvSize = (numHeads + 2 * numKvHeads) * headSize;
    this.#graph.constant('decode.shape', [3], BigInt64Array.of(-1n, 1n, BigInt(qkvSize)));
    return { ids: 'input_ids', positions: 'position_ids' };
  }

  attend(layer: number, qkv: string): string {
    const at = `layers.${layer}.self_attn`;
    const contexts = groups.map((group) => this.#attendIn(group, layer, qkv));
    const both = this.#graph.node('Concat', `${at}.contexts`, contexts, { axis: 0 });
    return this.#graph.node('Gather', `${at}.context`, [both, 'attended'], { axis: 0 });
  }

  sampled(hidden: string): SampledRows {
    const value = this.#graph.node('Gather', 'sampled_rows', [hidden, 'logit_index'], { axis: 0 });
    return { value, rowsOf: 'logit_index' };
  }

  end(): void {
    this.#graph.output({ name: 'logits', type: 'float32', shape: ['sampled', this.#config.vocabSize] });
    if (this.head !== 'logits') this.#graph.node('Cast', 'logits', [this.head], { to: elementType.float32 });
    this.#graph.output({ name: 'next_token', type: 'int64', shape: ['sampled', 1] });
    this.#graph.node('ArgMax', 'next_token', ['logits'], { axis: -1, keepdims: 1 });
    this.#graph.output({ name: 'next_logit', type: 'float32', shape: ['sampled', 1] });
    this.#graph.node('GatherElements', 'next_logit', ['logits', 'next_token'], { axis: 1 });
  }

  /** The attention of one group, flattened to [rows · tokens, heads · head size]. */
  #attendIn(group: AttentionGroup, layer: number, qkv: string): string {
    const at = `${group}.${layer}`;
    const { numHeads, numKvHeads, headSize } = this.#config;
    const shape = [`${group}_rows`, numKvHeads, `${group}_length`, headSize];
    const cache = { type: this.#graph.computeType, shape };
    const past = kvParts.map((part) => this.#graph.input({ name: `${group}.past.${layer}.${part}`, ...cache }));
    const present = kvParts.map((part) => this.#graph.output({ name: `${group}.present.${layer}.${part}`, ...cache }));
    const flat = this.#graph.node('Gather', `${at}.flat`, [qkv, `${group}.tokens`], { axis: 0 });
    const rows = this.#graph.node('Reshape', `${at}.rows`, [flat, `${group}.shape`]);
    const inputs = [rows, '', '', ...past, `${group}.seqlens_k`, `${group}.total_sequence_length`];
    const outputs = [`${at}.attended`, ...present] as const;
    const attributes = { num_heads: numHeads, kv_num_heads: numKvHeads };
    const attended = this.#graph.node('com.microsoft.GroupQueryAttention', outputs, inputs, attributes);
    return this.#graph.node('Reshape', `${at}.context`, [attended, 'hidden_shape']);
  }
}
