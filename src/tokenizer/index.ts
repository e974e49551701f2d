export type { StreamingDecoder } from './streaming-decoder.ts';
export { loadTokenizer, Tokenizer } from './tokenizer.ts';
export type { AddedToken, TokenizerSpec } from './tokenizer-spec.ts';
