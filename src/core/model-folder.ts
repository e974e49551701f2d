/** The configuration files of a Hugging Face model folder. */
export const configFiles = { config: 'config.json', generation: 'generation_config.json' } as const;

/** The files of a Hugging Face model folder that describe its tokenizer and its prompts. */
export const tokenizerFiles = {
  tokenizer: 'tokenizer.json',
  config: 'tokenizer_config.json',
  vocab: 'vocab.json',
  merges: 'merges.txt',
  specialTokens: 'special_tokens_map.json',
  chatTemplate: 'chat_template.jinja',
} as const;

/** The folder of a Hugging Face model folder with further chat templates, and how their files end. Their names are in front of that. */
export const namedTemplates = { folder: 'additional_chat_templates', extension: '.jinja' } as const;
