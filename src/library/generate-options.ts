/** What `generate` may do with a prompt, and how. Other values than those allowed are an `invalid_request` error that names the option. */
export interface GenerateOptions {
  /** How many answers to generate: from 1, the default, to `maxBatchSize`. Events say which answer they belong to, in `choice`. */
  readonly n?: number | undefined;
  /** The maximum number of new tokens, at least 1. By default 128, or what the context leaves if that is less. */
  readonly maxNewTokens?: number | undefined;
  /**
   * Until there are this many new tokens, neither the end of the sequence nor a stop token is drawn, and stop strings are ignored. By
   * default 0; at most `maxNewTokens`.
   */
  readonly minNewTokens?: number | undefined;
  /** At least 0. 0, the default, always picks the most likely token. */
  readonly temperature?: number | undefined;
  /** Sample among this many of the most likely tokens. 0, the default, turns this off. */
  readonly topK?: number | undefined;
  /** Sample among the most likely tokens with this total probability, above 0. 1, the default, turns this off. */
  readonly topP?: number | undefined;
  /** Sample among the tokens that are at least this share as likely as the most likely one. 0, the default, turns this off. */
  readonly minP?: number | undefined;
  /** Sample among the most typical tokens with this total probability, above 0. 1, the default, turns this off. */
  readonly typicalP?: number | undefined;
  /** Above 1, makes tokens of the prompt and the answer less likely; below 1, likelier. 1, the default, turns this off. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from the logits of tokens of the answer: from -2 to 2, by default 0. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from the logits of tokens of the answer once per occurrence: from -2 to 2, by default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** Added to the logits of these token ids: from -100 to 100, for up to 1024 ids. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
  /** The only tokens that may be generated, at least one. By default all. */
  readonly allowedTokenIds?: readonly number[] | undefined;
  /** Words that are never generated: up to 256 of up to 1024 characters. */
  readonly badWords?: readonly string[] | undefined;
  /** An integer. The same seed gives the same tokens. Random by default. */
  readonly seed?: number | undefined;
  /** Generation ends before the first of these strings to appear: up to 64 of up to 1024 characters. */
  readonly stop?: string | readonly string[] | undefined;
  /** Generation ends with the first of these tokens. Up to 1024. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /** Leave the stop string, or the text of the stop token, in the text. By default false. */
  readonly includeStop?: boolean | undefined;
  /** Keep going past the end-of-sequence token. By default false. */
  readonly ignoreEos?: boolean | undefined;
  /** Leave special tokens out of the text. By default true. */
  readonly skipSpecialTokens?: boolean | undefined;
  /** Begin a prompt that is text with the special tokens of the model. By default true. */
  readonly addSpecialTokens?: boolean | undefined;
  /** Keep only this many tokens at the end of the prompt, at least 1. By default all. */
  readonly truncatePromptTokens?: number | undefined;
  /** Report the log probability of each new token, and this many of the most likely tokens, 0 to 20, in `token.logprobs`. */
  readonly logprobs?: number | undefined;
  /** The same for the tokens of the prompt, 0 to 20, in a `prompt` event. */
  readonly promptLogprobs?: number | undefined;
  /** An integer. Requests with lower values go first. By default 0. */
  readonly priority?: number | undefined;
  /** Computed prompts are shared only with requests of the same salt. 1 to 1024 characters. */
  readonly cacheSalt?: string | undefined;
  /** Cancels the request. */
  readonly signal?: AbortSignal | undefined;
}

/** What `generate` passes on to the generator. */
export type RequestOptions = Omit<GenerateOptions, 'signal'>;
