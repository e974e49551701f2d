import type { LinearInput, LinearOutput } from '../../graph/linear-layers.ts';
import type { NetworkBuilder } from '../network-builder.ts';
import type { Activation, OptConfig } from './config.ts';
import { positionOffset } from './parameters.ts';

const layerNormEpsilon = 1e-5;

/** Writes the decoder. Network: `modeling_opt.py` of Hugging Face transformers. */
export async function writeOpt(builder: NetworkBuilder, config: OptConfig): Promise<void> {
  await new OptGraph(builder, config).write();
}

class OptGraph {
  readonly #builder: NetworkBuilder;
  readonly #config: OptConfig;

  constructor(builder: NetworkBuilder, config: OptConfig) {
    this.#builder = builder;
    this.#config = config;
  }

  async write(): Promise<void> {
    const embedded = await this.#embed();
    this.#builder.blockDone();
    const { doLayerNormBefore } = this.#config;
    const hidden = await (doLayerNormBefore ? this.#preNormLayers(embedded) : this.#postNormLayers(embedded));
    await this.#head(hidden);
  }

  /** Word and position embeddings, [N, hidden]. */
  async #embed(): Promise<string> {
    const { graph, io, parameters } = this.#builder;
    const { hiddenSize, maxPositions } = this.#config;
    const { ids, positions } = io.begin();
    const words = 'embed_tokens.weight';
    await graph.weight('embed_tokens', parameters.shapeOf(words), await parameters.read(words));
    const used = (await parameters.read('embed_positions.weight')).subarray(positionOffset * hiddenSize);
    await graph.weight('embed_positions', [maxPositions, hiddenSize], used);
    let embedded = graph.node('Gather', 'word', ['embed_tokens', ids]);
    if (this.#isProjected) embedded = (await this.#builder.linear('project_in', { value: embedded })).value;
    const position = graph.node('Gather', 'position', ['embed_positions', positions]);
    return graph.node('Add', 'embedded', [embedded, position]);
  }

  /** Norms precede attention and feed-forward, as in all published models but 350m. */
  async #preNormLayers(embedded: string): Promise<string> {
    const builder = this.#builder;
    const { numLayers } = this.#config;
    let sum = embedded;
    let normed = await this.#norm('layers.0.self_attn_layer_norm', sum);
    for (let layer = 0; layer < numLayers; layer++) {
      const attended = await this.#attention(layer, normed);
      const middle = await this.#addAndNorm(`layers.${layer}.final_layer_norm`, sum, attended);
      const fed = await this.#feedForward(layer, middle.normed);
      const isLast = layer === numLayers - 1;
      // The norm after the last layer applies only to the rows that get logits.
      if (isLast) sum = builder.graph.node('Add', 'fed', [middle.sum, builder.settled('fed.biased', fed)]);
      else ({ sum, normed } = await this.#addAndNorm(`layers.${layer + 1}.self_attn_layer_norm`, middle.sum, fed));
      builder.blockDone();
    }
    return sum;
  }

  /** Norms follow attention and feed-forward. */
  async #postNormLayers(embedded: string): Promise<string> {
    let hidden = embedded;
    for (let layer = 0; layer < this.#config.numLayers; layer++) {
      const attended = await this.#attention(layer, hidden);
      hidden = (await this.#addAndNorm(`layers.${layer}.self_attn_layer_norm`, hidden, attended)).normed;
      const fed = await this.#feedForward(layer, hidden);
      hidden = (await this.#addAndNorm(`layers.${layer}.final_layer_norm`, hidden, fed)).normed;
      this.#builder.blockDone();
    }
    return hidden;
  }

  async #attention(layer: number, input: string): Promise<LinearOutput> {
    const builder = this.#builder;
    const at = `layers.${layer}.self_attn`;
    const modules = ['q_proj', 'k_proj', 'v_proj'].map((name) => `${at}.${name}`);
    const stacked = await builder.stacked(`${at}.qkv`, modules, { value: input });
    const qkv = builder.settled(`${at}.qkv.biased`, stacked);
    return builder.linear(`${at}.out_proj`, { value: builder.io.attend(layer, qkv) });
  }

  async #feedForward(layer: number, input: string): Promise<LinearOutput> {
    const builder = this.#builder;
    const at = `layers.${layer}`;
    const up = await builder.linear(`${at}.fc1`, { value: input });
    const value = builder.settled(`${at}.fc1.biased`, up);
    return builder.linear(`${at}.fc2`, this.#activated(`${at}.activation`, value));
  }

  #activated(name: string, value: string): Pick<LinearInput, 'value' | 'isRectified'> {
    const { activation } = this.#config;
    if (activation === 'relu') return { value, isRectified: true };
    return { value: this.#builder.graph.node('Gelu', name, [value], geluAttributes[activation]) };
  }

  /** Logits of the sampled rows; only those pass the last norm and the head. */
  async #head(input: string): Promise<void> {
    const { hasFinalLayerNorm, tieWordEmbeddings } = this.#config;
    const { value, rowsOf } = this.#builder.io.sampled(input);
    let hidden = value;
    if (hasFinalLayerNorm) hidden = await this.#norm('final_layer_norm', hidden);
    if (this.#isProjected) hidden = (await this.#builder.linear('project_out', { value: hidden, rowsOf })).value;
    const weight = tieWordEmbeddings ? 'embed_tokens.weight' : 'lm_head.weight';
    await this.#builder.head({ value: hidden, rowsOf }, weight);
  }

  #norm(name: string, input: string): Promise<string> {
    const { hiddenSize } = this.#config;
    return this.#builder.layerNorm(name, input, { size: hiddenSize, epsilon: layerNormEpsilon });
  }

  /** The sum of the residual and a layer's output, and its norm. SkipLayerNormalization would do both in one operator, but takes twice as long. */
  async #addAndNorm(name: string, residual: string, output: LinearOutput): Promise<{ sum: string; normed: string }> {
    const addends = [residual, this.#builder.settled(`${name}.biased`, output)];
    const sum = this.#builder.graph.node('Add', `${name}.sum`, addends);
    return { sum, normed: await this.#norm(name, sum) };
  }

  get #isProjected(): boolean {
    return this.#config.wordEmbedDim !== this.#config.hiddenSize;
  }
}

const geluAttributes: Readonly<Record<Exclude<Activation, 'relu'>, Readonly<Record<string, string>>>> = {
  gelu: {},
  gelu_new: { approximate: 'tanh' },
  gelu_pytorch_tanh: { approximate: 'tanh' },
};
