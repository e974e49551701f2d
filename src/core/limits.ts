/** What a request may contain at most, whatever the model and the API. */
export const requestLimits = {
  /** OpenAI takes 4 stop strings. More are of use, but every one is looked for in every token. */
  maxStops: 64,
  /** Characters of a stop string or of a bad word. */
  maxStopLength: 1024,
  maxStopTokenIds: 1024,
  maxBadWords: 256,
  /** Characters. */
  maxSaltLength: 1024,
  /** Of presence and frequency penalties, in either direction. */
  maxPenalty: 2,
  /** Log probabilities in one reply, of which a part is written at once: see `checkReplySize`. */
  maxReplyLogprobs: 100_000,
  maxBiases: 1024,
  /** Of a logit, in either direction. */
  maxBias: 100,
} as const;
