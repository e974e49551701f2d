/** What a request may contain at most, whatever the model. */
export const requestLimits = {
  maxStops: 16,
  /** Characters of a stop string or of a bad word. */
  maxStopLength: 256,
  maxStopTokenIds: 1024,
  maxBadWords: 256,
  /** Of presence and frequency penalties, in either direction. */
  maxPenalty: 2,
  maxBiases: 1024,
  /** Of a logit, in either direction. */
  maxBias: 100,
} as const;
