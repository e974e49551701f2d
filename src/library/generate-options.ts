export interface GenerateOptions {
  /** How many answers to generate. By default 1. Events say which answer they belong to, in `choice`. */
  readonly n?: number | undefined;
  /** The maximum number of new tokens. By default 128, or what the context leaves if that is less. */
  readonly maxNewTokens?: number | undefined;
  /** Before this many new tokens, neither stop strings nor stop tokens nor the end of the sequence count. By default 0. */
  readonly minNewTokens?: number | undefined;
  /** 0, the default, always picks the likeliest token. */
  readonly temperature?: number | undefined;
  /** Sample among this many of the likeliest tokens. 0, the default, turns this off. */
  readonly topK?: number | undefined;
  /** Sample among the likeliest tokens with this total probability. 1, the default, turns this off. */
  readonly topP?: number | undefined;
  /** Sample among the tokens that are at least this share as likely as the likeliest. 0, the default, turns this off. */
  readonly minP?: number | undefined;
  /** Sample among the most typical tokens with this total probability. 1, the default, turns this off. */
  readonly typicalP?: number | undefined;
  /** Makes tokens of the prompt and the output less likely. 1, the default, turns this off. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from the logits of tokens of the output. By default 0. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from the logits of tokens of the output once per occurrence. By default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** Added to the logits of these token ids. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
  /** The only tokens that may be generated. By default all. */
  readonly allowedTokenIds?: readonly number[] | undefined;
  /** Words that are never generated. */
  readonly badWords?: readonly string[] | undefined;
  /** The same seed gives the same tokens. Random by default. */
  readonly seed?: number | undefined;
  /** Generation ends before the first of these strings, which are not part of the text. */
  readonly stop?: string | readonly string[] | undefined;
  /** Generation ends with the first of these tokens. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /** Leave the stop string, or the text of the stop token, in the text. */
  readonly includeStop?: boolean | undefined;
  /** Keep going past the end-of-sequence token. */
  readonly ignoreEos?: boolean | undefined;
  /** Leave special tokens out of the text, which is the default. */
  readonly skipSpecialTokens?: boolean | undefined;
  /** Begin a prompt that is text with the special tokens of the model, which is the default. */
  readonly addSpecialTokens?: boolean | undefined;
  /** Keep only this many tokens at the end of the prompt. */
  readonly truncatePromptTokens?: number | undefined;
  /** Report the log probability of each new token, and this many of the likeliest tokens, in `token.logprobs`. */
  readonly logprobs?: number | undefined;
  /** The same for the tokens of the prompt, in a `prompt` event. */
  readonly promptLogprobs?: number | undefined;
  /** Requests with lower values go first. By default 0. */
  readonly priority?: number | undefined;
  /** Computed prompts are shared only with requests of the same salt. */
  readonly cacheSalt?: string | undefined;
  /** Cancels the request. */
  readonly signal?: AbortSignal | undefined;
}

/** What `generate` passes on to the generator. */
export type RequestOptions = Omit<GenerateOptions, 'signal'>;
