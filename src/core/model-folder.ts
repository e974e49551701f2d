/** The configuration files of a Hugging Face model folder. */
export const configFiles = { config: 'config.json', generation: 'generation_config.json' } as const;

/** The files of a Hugging Face model folder that describe its tokenizer. */
export const tokenizerFiles = {
  tokenizer: 'tokenizer.json',
  config: 'tokenizer_config.json',
  vocab: 'vocab.json',
  merges: 'merges.txt',
  specialTokens: 'special_tokens_map.json',
} as const;
