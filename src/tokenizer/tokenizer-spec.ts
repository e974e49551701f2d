/** A token that is found in the text as it stands, before byte-pair encoding. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Special tokens have no text when decoded. */
  readonly special: boolean;
  /** Takes the white space on this side along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Only where no letter, digit or underscore touches it. */
  readonly singleWord: boolean;
  /** Found only in what the tokens that are not normalized leave. */
  readonly normalized: boolean;
}

/** What a folder says of its tokenizer. */
export interface TokenizerSpec {
  /** Token, written in GPT-2's byte alphabet, to id. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Pairs to merge, the most urgent first. */
  readonly merges: readonly (readonly [string, string])[];
  readonly addedTokens: readonly AddedToken[];
  /** Ids put in front of and behind every text. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  readonly addPrefixSpace: boolean;
}
