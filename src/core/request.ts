/** How the next token is chosen. Every field is checked and filled in. */
export interface SamplingParams {
  /** 0 is greedy. */
  readonly temperature: number;
  /** Sample among the `topK` likeliest tokens; 0 is off. */
  readonly topK: number;
  /** Sample among the likeliest tokens that together hold this probability; 1 is off. */
  readonly topP: number;
  /** Seed of the request's random numbers. The same seed gives the same tokens, whatever else runs. */
  readonly seed: number;
}

/** Always the likeliest token. */
export const greedy: SamplingParams = { temperature: 0, topK: 0, topP: 1, seed: 0 };

/** A client's request, checked. */
export interface GenerateRequest {
  readonly id: string;
  /** Text, or token ids that are used as they are. */
  readonly prompt: string | readonly number[];
  /** Upper limit of new tokens. Undefined means the default, or what the context leaves if that is less. */
  readonly maxNewTokens: number | undefined;
  /** Generation ends before the first of these strings to appear. They are not part of the text. */
  readonly stop: readonly string[];
  /** Whether generation continues past an end-of-sequence token. */
  readonly ignoreEos: boolean;
  readonly sampling: SamplingParams;
}

/** New tokens if a request does not say how many. */
export const defaultMaxNewTokens = 128;
