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

/** The files of a Hugging Face model folder with chat templates: the usual one, and a folder with others. */
export const chatTemplateFiles = {
  main: 'chat_template.jinja',
  folder: 'additional_chat_templates',
  extension: '.jinja',
} as const;
