import type { Activation, OptConfig } from '../opt-config.ts';
import type { OptWeights } from '../opt-weights.ts';
import { positionOffset } from '../parameters.ts';
import type { GraphIo } from './graph-io.ts';
import type { GraphFiles, GraphWriter } from './graph-writer.ts';
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
export const graphVersion = 8;

const layerNormEpsilon = 1e-5;

/** One pass over the weights, in units of one layer. */
export type OnProgress = (done: number, total: number) => void;

/**
 * Writes the decoder of an OPT between the inputs and the outputs of `io`.
 * Network: `modeling_opt.py` of Hugging Face transformers.
 * @returns what its files hold
 * @throws {ModelError} a weight is missing or of another shape
 */
export async function writeOptGraph(graph: GraphWriter, source: OptSource, io: GraphIo): Promise<GraphFiles> {
  return new OptGraph(graph, source, io).write();
}

/** What a graph is made of. */
export interface OptSource {
  readonly config: OptConfig;
  readonly precision: Precision;
  readonly int8Range: Int8Range;
  readonly weights: OptWeights;
  readonly onProgress: OnProgress;
}

class OptGraph {
  readonly #graph: GraphWriter;
  readonly #config: OptConfig;
  readonly #weights: OptWeights;
  readonly #linears: LinearLayers;
  readonly #io: GraphIo;
  readonly #onProgress: OnProgress;

  constructor(graph: GraphWriter, { config, precision, int8Range, weights, onProgress }: OptSource, io: GraphIo) {
    this.#graph = graph;
    this.#io = io;
    this.#linears = linearLayers(graph, { precision, int8Range });
    this.#config = config;
    this.#weights = weights;
    this.#onProgress = onProgress;
  }

  async write(): Promise<GraphFiles> {
    const { numLayers, doLayerNormBefore } = this.#config;
    const embedded = await this.#embed(this.#io.begin());
    this.#onProgress(1, numLayers + 2);
    await this.#head(await (doLayerNormBefore ? this.#preNormLayers(embedded) : this.#postNormLayers(embedded)));
    const files = await this.#graph.finish();
    this.#onProgress(numLayers + 2, numLayers + 2);
    return files;
  }

  /** Word and position embeddings, [N, hidden]. */
  async #embed({ ids, positions }: { readonly ids: string; readonly positions: string }): Promise<string> {
    const { vocabSize, wordEmbedDim, hiddenSize, maxPositions } = this.#config;
    const words = await this.#weights.read('embed_tokens.weight', [vocabSize, wordEmbedDim]);
    await this.#graph.weight('embed_tokens', [vocabSize, wordEmbedDim], words);
    const table = await this.#weights.read('embed_positions.weight', [maxPositions + positionOffset, hiddenSize]);
    const used = table.subarray(positionOffset * hiddenSize);
    await this.#graph.weight('embed_positions', [maxPositions, hiddenSize], used);
    let embedded = this.#graph.node('Gather', 'word', ['embed_tokens', ids]);
    if (wordEmbedDim !== hiddenSize) {
      const shape = { from: wordEmbedDim, to: hiddenSize, hasBias: false };
      embedded = (await this.#linear('project_in', { value: embedded }, shape)).value;
    }
    const position = this.#graph.node('Gather', 'position', ['embed_positions', positions]);
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
      await this.#linears.write(`${at}.qkv`, { value: input, rowsOf: this.#io.tokens }, stacked),
    );
    const context = this.#io.attend(layer, qkv);
    return this.#linear(`${at}.out_proj`, { value: context }, { from: hiddenSize, to: hiddenSize, hasBias });
  }

  /** Logits of the rows that are sampled; only those pass the last norm and the head. */
  async #head(input: string): Promise<void> {
    const { hasFinalLayerNorm, hiddenSize, wordEmbedDim, vocabSize, tieWordEmbeddings } = this.#config;
    const { value, rowsOf } = this.#io.sampled(input);
    let hidden = value;
    if (hasFinalLayerNorm) hidden = await this.#norm('final_layer_norm', hidden);
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
    await this.#linears.write(this.#io.head, { value: hidden, rowsOf }, { weight, from: wordEmbedDim, to: vocabSize });
    this.#io.end();
  }

  /** @param input its rows are the run's tokens unless `rowsOf` says otherwise */
  async #linear(
    name: string,
    input: Omit<LinearInput, 'rowsOf'> & Partial<LinearInput>,
    { from, to, hasBias }: LinearShape,
  ): Promise<LinearOutput> {
    const weight = await this.#weights.read(`${name}.weight`, [to, from]);
    const bias = hasBias ? await this.#weights.read(`${name}.bias`, [to]) : undefined;
    return this.#linears.write(name, { rowsOf: this.#io.tokens, ...input }, { weight, bias, from, to });
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
