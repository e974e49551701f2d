/** How the next token is chosen and when to stop; every field checked and filled in. */
export interface SamplingParams {
  /** 0 is greedy. */
  readonly temperature: number;
  /** Sample among the `topK` likeliest tokens; 0 is off. */
  readonly topK: number;
  /** Sample among the likeliest tokens that together hold this probability; 1 is off. */
  readonly topP: number;
  /** Seed of this request's own random numbers: the same seed gives the same tokens, whatever else runs. */
  readonly seed: number;
  /** Keep going past the end-of-sequence token. */
  readonly ignoreEos: boolean;
}

/** The likeliest token each time, up to the end of sequence. */
export const greedy: SamplingParams = { temperature: 0, topK: 0, topP: 1, seed: 0, ignoreEos: false };

/** A checked client wish. */
export interface GenerateRequest {
  readonly id: string;
  /** Text, or token ids taken as they are. */
  readonly prompt: string | readonly number[];
  /** At most this many new tokens; undefined is the default, or what the context leaves if that is less. */
  readonly maxNewTokens: number | undefined;
  /** Generation ends in front of the first of these to appear; they are not part of the text. */
  readonly stop: readonly string[];
  readonly sampling: SamplingParams;
}

/** New tokens when a request does not say how many. */
export const defaultMaxNewTokens = 128;
