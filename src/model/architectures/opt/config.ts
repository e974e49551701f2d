import { ModelError, show } from '../../../core/index.ts';
import type { JsonObject } from '../../../files/index.ts';
import { countField, flagField, tokenIdsField } from '../config-fields.ts';

const activations = ['relu', 'gelu', 'gelu_new', 'gelu_pytorch_tanh'] as const;
export type Activation = (typeof activations)[number];

/**
 * The shape of an OPT network. Source: `OPTConfig` of Hugging Face transformers.
 * Names, order and values are part of a graph's name in the cache: a change here rebuilds every graph.
 */
export interface OptConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly ffnDim: number;
  readonly maxPositions: number;
  /** Width of the word embeddings; projected in and out where it differs from `hiddenSize` (350m). */
  readonly wordEmbedDim: number;
  /** Whether norms precede attention and feed-forward (125m) or follow them (350m). */
  readonly doLayerNormBefore: boolean;
  readonly hasFinalLayerNorm: boolean;
  readonly hasBias: boolean;
  readonly hasLayerNormWeights: boolean;
  readonly activation: Activation;
  readonly tieWordEmbeddings: boolean;
  readonly eosTokenIds: readonly number[];
}

/** @throws {ModelError} values that make no network */
export function parseOptConfig(config: JsonObject): OptConfig {
  const hiddenSize = countField(config, 'hidden_size', 768);
  const numHeads = countField(config, 'num_attention_heads', 12);
  const doLayerNormBefore = flagField(config, 'do_layer_norm_before', true);
  return {
    vocabSize: countField(config, 'vocab_size', 50272),
    hiddenSize,
    numLayers: countField(config, 'num_hidden_layers', 12),
    numHeads,
    headDim: hiddenSize / numHeads,
    ffnDim: countField(config, 'ffn_dim', 3072),
    maxPositions: countField(config, 'max_position_embeddings', 2048),
    wordEmbedDim: countField(config, 'word_embed_proj_dim', hiddenSize),
    doLayerNormBefore,
    hasFinalLayerNorm: doLayerNormBefore && !flagField(config, '_remove_final_layer_norm', false),
    hasBias: flagField(config, 'enable_bias', true),
    hasLayerNormWeights: flagField(config, 'layer_norm_elementwise_affine', true),
    activation: activationOf(config.activation_function ?? 'relu'),
    tieWordEmbeddings: flagField(config, 'tie_word_embeddings', true),
    eosTokenIds: tokenIdsField(config, 'eos_token_id', 2),
  };
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
