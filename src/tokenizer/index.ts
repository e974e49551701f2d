export type { StreamingDecoder } from './streaming-decoder.ts';
export { loadTokenizer, Tokenizer } from './tokenizer.ts';
export type { TokenizerSpec } from './tokenizer-spec.ts';
