/** What a tokenizer may hold at most. Published ones stay far below: 280,000 merges, 260,000 tokens, 6,400 added ones, 33 MB. */
export const tokenizerLimits = {
  maxFileBytes: 128 * 2 ** 20,
  maxTokens: 2 ** 20,
  maxMerges: 2 ** 21,
  maxAddedTokens: 2 ** 17,
  /** Special tokens around every text, and the text. */
  maxTemplatePieces: 64,
  /** Bytes of a token of the vocabulary. */
  maxTokenLength: 4096,
  /** UTF-16 code units of an added token. A text may have to be compared with so many at each of its places. */
  maxAddedTokenLength: 256,
} as const;
