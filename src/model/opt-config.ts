import path from 'node:path';
import { ModelError, show } from '../core/index.ts';
import { type JsonObject, readJsonFile } from '../files/index.ts';

const activations = ['relu', 'gelu', 'gelu_new', 'gelu_pytorch_tanh'] as const;
export type Activation = (typeof activations)[number];

/** The shape of an OPT network. Source: `OPTConfig` of Hugging Face transformers. */
export interface OptConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly ffnDim: number;
  readonly maxPositions: number;
  /** Width of the word embeddings; projected in and out where it is not `hiddenSize` (350m). */
  readonly wordEmbedDim: number;
  /** Norms in front of attention and feed-forward (125m), or behind them (350m). */
  readonly doLayerNormBefore: boolean;
  readonly hasFinalLayerNorm: boolean;
  readonly hasBias: boolean;
  readonly hasLayerNormWeights: boolean;
  readonly activation: Activation;
  readonly tieWordEmbeddings: boolean;
  readonly eosTokenIds: readonly number[];
}

/**
 * Reads `config.json`, and `generation_config.json` where there is one.
 * @throws {ModelError} not a model folder, not an OPT, or values that make no network
 */
export async function readOptConfig(folder: string): Promise<OptConfig> {
  const config = await readJsonFile(folder, 'config.json');
  if (config === undefined) {
    throw new ModelError(`${folder} has no config.json: give the folder of a Hugging Face OPT model`);
  }
  if (config.model_type !== 'opt') {
    throw new ModelError(
      `${path.join(folder, 'config.json')}: model_type ${show(config.model_type ?? null)} is not supported, only "opt" is`,
    );
  }
  const generation = (await readJsonFile(folder, 'generation_config.json')) ?? {};
  return parseOptConfig(config, generation.eos_token_id ?? config.eos_token_id);
}

function parseOptConfig(config: JsonObject, eosTokenId: unknown): OptConfig {
  const hiddenSize = count(config, 'hidden_size', 768);
  const numHeads = count(config, 'num_attention_heads', 12);
  const headDim = hiddenSize / numHeads;
  if (!Number.isInteger(headDim / 8)) {
    throw new ModelError(
      `config.json: hidden_size ${hiddenSize} over num_attention_heads ${numHeads} gives a head size of ${headDim}; it has to be a multiple of 8`,
    );
  }
  const doLayerNormBefore = flag(config, 'do_layer_norm_before', true);
  return {
    vocabSize: count(config, 'vocab_size', 50272),
    hiddenSize,
    numLayers: count(config, 'num_hidden_layers', 12),
    numHeads,
    headDim,
    ffnDim: count(config, 'ffn_dim', 3072),
    maxPositions: count(config, 'max_position_embeddings', 2048),
    wordEmbedDim: count(config, 'word_embed_proj_dim', hiddenSize),
    doLayerNormBefore,
    hasFinalLayerNorm: doLayerNormBefore && !flag(config, '_remove_final_layer_norm', false),
    hasBias: flag(config, 'enable_bias', true),
    hasLayerNormWeights: flag(config, 'layer_norm_elementwise_affine', true),
    activation: activationOf(config.activation_function ?? 'relu'),
    tieWordEmbeddings: flag(config, 'tie_word_embeddings', true),
    eosTokenIds: tokenIds(eosTokenId ?? 2),
  };
}

function count(config: JsonObject, key: string, otherwise: number): number {
  const value = config[key] ?? otherwise;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw new ModelError(`config.json: ${key} is ${show(value)}, not a positive integer`);
  }
  return value;
}

function flag(config: JsonObject, key: string, otherwise: boolean): boolean {
  const value = config[key] ?? otherwise;
  if (typeof value !== 'boolean') throw new ModelError(`config.json: ${key} is ${show(value)}, not true or false`);
  return value;
}

function activationOf(value: unknown): Activation {
  const known = activations.find((activation) => activation === value);
  if (known === undefined) {
    throw new ModelError(
      `config.json: activation_function ${show(value)} is not supported, only ${activations.join(', ')}`,
    );
  }
  return known;
}

function tokenIds(value: unknown): number[] {
  const ids = Array.isArray(value) ? value : [value];
  if (!ids.every((id) => Number.isInteger(id) && id >= 0)) {
    throw new ModelError(`config.json: eos_token_id is ${show(value)}, not a token id`);
  }
  return ids;
}
