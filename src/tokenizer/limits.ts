/** How large a tokenizer may be. Published ones are far smaller: 280,000 merges, 260,000 tokens, 6,400 added tokens, 33 MB. */
export const tokenizerLimits = {
  maxFileBytes: 128 * 2 ** 20,
  maxTokens: 2 ** 20,
  maxMerges: 2 ** 21,
  maxAddedTokens: 2 ** 17,
  /** The special tokens around every text, and the text itself. */
  maxTemplatePieces: 64,
  /** Bytes in a token of the vocabulary. */
  maxTokenLength: 4096,
  /** UTF-16 code units in an added token. At worst, this many comparisons are needed at every position of a text. */
  maxAddedTokenLength: 256,
} as const;

/** UTF-16 code units of all the long texts that wait behind others; tokenizing them takes a few seconds. */
export const maxCharactersGoingLast = 2 ** 22;
