/** The fields in which the published models differ. Source: `config.json` of facebook/opt-125m, opt-350m and opt-1.3b. */
const sizes = {
  'opt-125m': {
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    ffn_dim: 3072,
    word_embed_proj_dim: 768,
    do_layer_norm_before: true,
  },
  'opt-350m': {
    hidden_size: 1024,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    ffn_dim: 4096,
    word_embed_proj_dim: 512,
    do_layer_norm_before: false,
  },
  'opt-1.3b': {
    hidden_size: 2048,
    num_hidden_layers: 24,
    num_attention_heads: 32,
    ffn_dim: 8192,
    word_embed_proj_dim: 2048,
    do_layer_norm_before: true,
  },
} as const;

/** The `config.json` of the published models, with weights in float32. */
export const publishedConfigs = Object.fromEntries(
  Object.entries(sizes).map(([name, own]) => [
    name,
    {
      architectures: ['OPTForCausalLM'],
      model_type: 'opt',
      ...own,
      vocab_size: 50272,
      max_position_embeddings: 2048,
      activation_function: 'relu',
      enable_bias: true,
      layer_norm_elementwise_affine: true,
      tie_word_embeddings: true,
      _remove_final_layer_norm: false,
      bos_token_id: 2,
      eos_token_id: 2,
      pad_token_id: 1,
      dropout: 0.1,
      attention_dropout: 0,
      layerdrop: 0,
      init_std: 0.02,
      torch_dtype: 'float32',
      use_cache: true,
    },
  ]),
);
