export interface EncodeOptions {
  readonly addSpecialTokens: boolean;
  readonly signal: AbortSignal;
  /** Whether a long text waits until no other does, such as the prompt of a request. False by default. */
  readonly goesLast?: boolean;
}

/** Converts text to tokens and back, as the model's tokenizer does. */
export interface TextCodec {
  /**
   * The ids of a text. Half of a surrogate pair counts as U+FFFD. Long texts are converted off the event loop.
   * @throws the reason of `signal` if it aborts while a long text is converted
   * @throws {ServingError} `queue_full`: too much text that goes last is waiting
   * @throws {ServingError} `unavailable`: the model is closed
   */
  encode(text: string, options: EncodeOptions): Promise<number[]>;
  /** The text of tokens. An incomplete character becomes U+FFFD. Ids outside the vocabulary have no text. */
  decode(tokenIds: readonly number[], options: { readonly skipSpecialTokens: boolean }): string;
  /** The text of a token in UTF-8, which may be part of a character. A special token has its name. Empty for ids without a token. */
  bytesOf(tokenId: number): Uint8Array;
  isSpecial(tokenId: number): boolean;
  /** How the vocabulary spells a token, such as "Ġthe" for " the". Empty for ids without a token. */
  spellingOf(tokenId: number): string;
}

/** A message of a chat, as far as a template reads it. Unknown fields are passed on to the template. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string | null;
  readonly [field: string]: unknown;
}

export interface ChatPromptOptions {
  /** Whether the prompt ends with the beginning of an answer. */
  readonly addGenerationPrompt: boolean;
  /** Whether the last message is to be continued instead of answered. */
  readonly continueFinalMessage: boolean;
  /** A template of the request's own, or the name of one of the model's; undefined is the model's default. */
  readonly template: string | undefined;
  /** Further variables for the template. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Turns a chat into a prompt. */
export interface ChatTemplate {
  /**
   * Off the event loop and within a time limit. The prompt has all its special tokens: add no others.
   * @throws {ServingError} `invalid_request`: the template cannot render the messages; the message says why
   * @throws {ServingError} `queue_full`: too many chats are waiting
   * @throws {ServingError} `unavailable`: the model is closed, or the server is shutting down
   * @throws the reason of `signal` when it aborts
   */
  render(messages: readonly ChatMessage[], options: ChatPromptOptions): Promise<string>;
}

/** What the server tells of the model, and needs of it besides the generator. Facts that the generator does not report are undefined. */
export interface ServedModel {
  /** The name in replies. */
  readonly name: string;
  /** All names that the model is served under. */
  readonly names: readonly string[];
  /** Since 1970. */
  readonly createdAtSeconds: number;
  /** The context in tokens: prompt and output together. */
  readonly maxModelLen: number | undefined;
  /** Answers that can be generated together. */
  readonly maxBatchSize: number | undefined;
  /** Answers that may wait for the batch. */
  readonly maxQueueSize: number | undefined;
  readonly vocabSize: number | undefined;
  /** Undefined if the model has no tokenizer. Then prompts are token ids and there is no text. */
  readonly codec: TextCodec | undefined;
  /** Undefined without a tokenizer. */
  readonly chat: ChatTemplate | undefined;
}
