import type { Activation, OptConfig } from '../opt-config.ts';
import type { OptWeights } from '../opt-weights.ts';
import { positionOffset } from '../parameters.ts';
import type { GraphWriter } from './graph-writer.ts';
import {
  type Int8Range,
  type LinearInput,
  type LinearLayers,
  type LinearOutput,
  type LinearWeights,
  linearLayers,
  type Precision,
} from './linear-layers.ts';

/** Raised with every change of what this folder writes: graphs of an older version are built anew. */
export const graphVersion = 6;

const layerNormEpsilon = 1e-5;

/** One pass over the weights, in units of one layer. */
export type OnProgress = (done: number, total: number) => void;

/** The two groups of rows that a run attends in: see {@link writeOptGraph}. */
export type AttentionGroup = 'decode' | 'prompt';

/**
 * Writes the decoder of an OPT with its cache in place. A run computes N tokens of all its rows at once, decoding ones and prompts:
 * everything is shared but attention, which has two groups. D rows feed one token each; P prompts feed S tokens each, padded.
 * R of the N tokens are those to sample behind.
 *
 * | input | shape | |
 * | --- | --- | --- |
 * | `input_ids`, `position_ids` | int64 [N] | positions count from 0 |
 * | `logit_index` | int64 [R] | tokens to compute logits behind |
 * | `decode.tokens` | int64 [D] | which of the N tokens the row feeds |
 * | `prompt.tokens` | int64 [P·S] | the same; padding may be any token |
 * | `prompt.shape` | int64 [3] | P, S, -1 |
 * | `attended` | int64 [N] | where the result for a token is in the D + P·S results of both groups |
 * | `decode.seqlens_k`, `prompt.seqlens_k` | int32 [D], [P] | keys of the row that are valid after this run, minus 1 |
 * | `decode.total_sequence_length`, `prompt.…` | int32 [1] | the longest of them, padding included |
 * | `decode.past.L.key`, `.value`, `prompt.past.…` | float32 [D or P, heads, T, head size] | bound to the same memory as `….present.L.*` |
 *
 * Neither group may be empty (GroupQueryAttention divides by its number of rows): an empty one gets a row of a slot that nobody has,
 * to which `attended` does not point. Outputs: `logits` float32 [R, vocabulary], `next_token` int64 [R], the likeliest, and `….present.L.*`.
 * Network: `modeling_opt.py` of Hugging Face transformers. Attention: `GroupQueryAttention` in
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 * @throws {ModelError} a weight is missing or of another shape
 */
export async function writeOptGraph(graph: GraphWriter, source: OptSource): Promise<void> {
  await new OptGraph(graph, source).write();
}

/** What a graph is made of. */
export interface OptSource {
  readonly config: OptConfig;
  readonly precision: Precision;
  readonly int8Range: Int8Range;
  readonly weights: OptWeights;
  readonly onProgress: OnProgress;
}

const groups: readonly AttentionGroup[] = ['decode', 'prompt'];
const kvParts = ['key', 'value'] as const;

class OptGraph {
  readonly #graph: GraphWriter;
  readonly #config: OptConfig;
  readonly #weights: OptWeights;
  readonly #linears: LinearLayers;
  readonly #onProgress: OnProgress;

  constructor(graph: GraphWriter, { config, precision, int8Range, weights, onProgress }: OptSource) {
    this.#graph = graph;
    this.#linears = linearLayers(graph, { precision, int8Range });
    this.#config = config;
    this.#weights = weights;
    this.#onProgress = onProgress;
  }

  async write(): Promise<void> {
    const { numLayers, doLayerNormBefore } = this.#config;
    this.#declareInputs();
    const embedded = await this.#embed();
    this.#onProgress(1, numLayers + 2);
    await this.#head(await (doLayerNormBefore ? this.#preNormLayers(embedded) : this.#postNormLayers(embedded)));
    await this.#graph.finish();
    this.#onProgress(numLayers + 2, numLayers + 2);
  }

  #declareInputs(): void {
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
    const { hiddenSize } = this.#config;
    this.#graph.constant('hidden_shape', [2], BigInt64Array.of(-1n, BigInt(hiddenSize)));
    this.#graph.constant('decode.shape', [3], BigInt64Array.of(-1n, 1n, 3n * BigInt(hiddenSize)));
  }

  /** Word and position embeddings, [N, hidden]. */
  async #embed(): Promise<string> {
    const { vocabSize, wordEmbedDim, hiddenSize, maxPositions } = this.#config;
    const words = await this.#weights.read('embed_tokens.weight', [vocabSize, wordEmbedDim]);
    await this.#graph.weight('embed_tokens', [vocabSize, wordEmbedDim], words);
    const positions = await this.#weights.read('embed_positions.weight', [maxPositions + positionOffset, hiddenSize]);
    const used = positions.subarray(positionOffset * hiddenSize);
    await this.#graph.weight('embed_positions', [maxPositions, hiddenSize], used);
    let embedded = this.#graph.node('Gather', 'word', ['embed_tokens', 'input_ids']);
    if (wordEmbedDim !== hiddenSize) {
      const shape = { from: wordEmbedDim, to: hiddenSize, hasBias: false };
      embedded = (await this.#linear('project_in', { value: embedded }, shape)).value;
    }
    const position = this.#graph.node('Gather', 'position', ['embed_positions', 'position_ids']);
    return this.#graph.node('Add', 'embedded', [embedded, position]);
  }

  /** Norms in front of attention and feed-forward, as all but 350m have them. */
  async #preNormLayers(embedded: string): Promise<string> {
    const { numLayers } = this.#config;
    let sum = embedded;
    let normed = await this.#norm('layers.0.self_attn_layer_norm', sum);
    for (let layer = 0; layer < numLayers; layer++) {
      const attended = await this.#attention(layer, normed);
      const middle = await this.#addAndNorm(`layers.${layer}.final_layer_norm`, sum, attended);
      const fed = await this.#feedForward(layer, middle.normed);
      const isLast = layer === numLayers - 1;
      // Behind the last layer only some rows are normed.
      if (isLast) sum = this.#graph.node('Add', 'fed', [middle.sum, this.#settled('fed.biased', fed)]);
      else ({ sum, normed } = await this.#addAndNorm(`layers.${layer + 1}.self_attn_layer_norm`, middle.sum, fed));
      this.#onProgress(layer + 2, numLayers + 2);
    }
    return sum;
  }

  /** Norms behind attention and feed-forward. */
  async #postNormLayers(embedded: string): Promise<string> {
    const { numLayers } = this.#config;
    let hidden = embedded;
    for (let layer = 0; layer < numLayers; layer++) {
      const attended = await this.#attention(layer, hidden);
      hidden = (await this.#addAndNorm(`layers.${layer}.self_attn_layer_norm`, hidden, attended)).normed;
      const fed = await this.#feedForward(layer, hidden);
      hidden = (await this.#addAndNorm(`layers.${layer}.final_layer_norm`, hidden, fed)).normed;
      this.#onProgress(layer + 2, numLayers + 2);
    }
    return hidden;
  }

  async #feedForward(layer: number, input: string): Promise<LinearOutput> {
    const at = `layers.${layer}`;
    const { hiddenSize, ffnDim, hasBias, activation } = this.#config;
    const up = await this.#linear(`${at}.fc1`, { value: input }, { from: hiddenSize, to: ffnDim, hasBias });
    const value = this.#settled(`${at}.fc1.biased`, up);
    const isRectified = activation === 'relu';
    const active = isRectified
      ? value
      : this.#graph.node('Gelu', `${at}.activation`, [value], geluAttributes[activation]);
    return this.#linear(`${at}.fc2`, { value: active, isRectified }, { from: ffnDim, to: hiddenSize, hasBias });
  }

  async #attention(layer: number, input: string): Promise<LinearOutput> {
    const at = `layers.${layer}.self_attn`;
    const { hiddenSize, hasBias } = this.#config;
    const stacked = await this.#stacked(at, ['q_proj', 'k_proj', 'v_proj'], {
      from: hiddenSize,
      to: hiddenSize,
      hasBias,
    });
    const qkv = this.#settled(
      `${at}.qkv.biased`,
      await this.#linears.write(`${at}.qkv`, { value: input, rowsOf: tokens }, stacked),
    );
    const contexts = groups.map((group) => this.#groupAttention(layer, group, qkv));
    const both = this.#graph.node('Concat', `${at}.contexts`, contexts, { axis: 0 });
    const context = this.#graph.node('Gather', `${at}.context`, [both, 'attended'], { axis: 0 });
    return this.#linear(`${at}.out_proj`, { value: context }, { from: hiddenSize, to: hiddenSize, hasBias });
  }

  /** What the rows of a group attend to, flattened to [rows · tokens, hidden]. */
  #groupAttention(layer: number, group: AttentionGroup, qkv: string): string {
    const at = `${group}.${layer}`;
    const { numHeads, headDim } = this.#config;
    const cache = { type: 'float32', shape: [`${group}_rows`, numHeads, 'max_length', headDim] } as const;
    const past = kvParts.map((part) => this.#graph.input({ name: `${group}.past.${layer}.${part}`, ...cache }));
    const present = kvParts.map((part) => this.#graph.output({ name: `${group}.present.${layer}.${part}`, ...cache }));
    const flat = this.#graph.node('Gather', `${at}.flat`, [qkv, `${group}.tokens`], { axis: 0 });
    const rows = this.#graph.node('Reshape', `${at}.rows`, [flat, `${group}.shape`]);
    const inputs = [rows, '', '', ...past, `${group}.seqlens_k`, `${group}.total_sequence_length`];
    const outputs = [`${at}.attended`, ...present] as const;
    const attributes = { num_heads: numHeads, kv_num_heads: numHeads };
    const attended = this.#graph.node('com.microsoft.GroupQueryAttention', outputs, inputs, attributes);
    return this.#graph.node('Reshape', `${at}.context`, [attended, 'hidden_shape']);
  }

  /** Logits of the rows that are sampled; only those pass the last norm and the head. */
  async #head(input: string): Promise<void> {
    const { hasFinalLayerNorm, hiddenSize, wordEmbedDim, vocabSize, tieWordEmbeddings } = this.#config;
    let hidden = this.#graph.node('Gather', 'sampled_rows', [input, 'logit_index'], { axis: 0 });
    if (hasFinalLayerNorm) hidden = await this.#norm('final_layer_norm', hidden);
    const rowsOf = 'logit_index';
    if (wordEmbedDim !== hiddenSize) {
      const projection = { from: hiddenSize, to: wordEmbedDim, hasBias: false };
      hidden = (await this.#linear('project_out', { value: hidden, rowsOf }, projection)).value;
    }
    const shape = [vocabSize, wordEmbedDim];
    // Tied or not, the head is a weight of its own: ONNX Runtime repacks it, and of the table that is only looked up no more is
    // taken into memory than the rows in use.
    const weight = tieWordEmbeddings
      ? await this.#weights.read('embed_tokens.weight', shape)
      : await this.#weights.readHead(shape);
    await this.#linears.write('logits', { value: hidden, rowsOf }, { weight, from: wordEmbedDim, to: vocabSize });
    this.#graph.output({ name: 'logits', type: 'float32', shape: ['sampled', vocabSize] });
    this.#graph.output({ name: 'next_token', type: 'int64', shape: ['sampled'] });
    this.#graph.node('ArgMax', 'next_token', ['logits'], { axis: -1, keepdims: 0 });
  }

  /** @param input `rowsOf` is {@link tokens} unless it is said otherwise */
  async #linear(
    name: string,
    input: Omit<LinearInput, 'rowsOf'> & Partial<LinearInput>,
    { from, to, hasBias }: LinearShape,
  ): Promise<LinearOutput> {
    const weight = await this.#weights.read(`${name}.weight`, [to, from]);
    const bias = hasBias ? await this.#weights.read(`${name}.bias`, [to]) : undefined;
    return this.#linears.write(name, { rowsOf: tokens, ...input }, { weight, bias, from, to });
  }

  /** The value of a layer's output, its bias added if that was left to do. */
  #settled(name: string, { value, bias }: LinearOutput): string {
    return bias === undefined ? value : this.#graph.node('Add', name, [value, bias]);
  }

  /** Several linear layers over one input as a single one: their weights below each other. */
  async #stacked(at: string, names: readonly string[], { from, to, hasBias }: LinearShape): Promise<LinearWeights> {
    const weight = new Float32Array(names.length * to * from);
    const bias = hasBias ? new Float32Array(names.length * to) : undefined;
    for (const [i, name] of names.entries()) {
      weight.set(await this.#weights.read(`${at}.${name}.weight`, [to, from]), i * to * from);
      bias?.set(await this.#weights.read(`${at}.${name}.bias`, [to]), i * to);
    }
    return { weight, bias, from, to: names.length * to };
  }

  async #norm(name: string, input: string): Promise<string> {
    const { hiddenSize, hasLayerNormWeights: affine } = this.#config;
    const shape = [hiddenSize];
    const scale = affine ? await this.#weights.read(`${name}.weight`, shape) : new Float32Array(hiddenSize).fill(1);
    const bias = affine ? await this.#weights.read(`${name}.bias`, shape) : new Float32Array(hiddenSize);
    await this.#graph.weight(`${name}.weight`, shape, scale);
    await this.#graph.weight(`${name}.bias`, shape, bias);
    const inputs = [input, `${name}.weight`, `${name}.bias`];
    return this.#graph.node('LayerNormalization', `${name}.out`, inputs, {
      axis: -1,
      epsilon: { float: layerNormEpsilon },
    });
  }

  /** The sum of the residual and a layer's output, and its norm. SkipLayerNormalization would be one operator, and takes twice as long. */
  async #addAndNorm(name: string, residual: string, output: LinearOutput): Promise<{ sum: string; normed: string }> {
    const sum = this.#graph.node('Add', `${name}.sum`, [residual, this.#settled(`${name}.biased`, output)]);
    return { sum, normed: await this.#norm(name, sum) };
  }
}

/** The input of the graph that has as many rows as the run has tokens. */
const tokens = 'input_ids';

interface LinearShape {
  readonly from: number;
  readonly to: number;
  readonly hasBias: boolean;
}

const geluAttributes: Readonly<Record<Exclude<Activation, 'relu'>, Readonly<Record<string, string>>>> = {
  gelu: {},
  gelu_new: { approximate: 'tanh' },
  gelu_pytorch_tanh: { approximate: 'tanh' },
};
