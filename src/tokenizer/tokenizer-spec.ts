/** A token that is found in the text as it stands, before byte-pair encoding. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Special tokens can be left out of a text. */
  readonly special: boolean;
  /** Whether the token swallows the white space on this side. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Whether it only matches where no letter, digit or underscore touches it. */
  readonly singleWord: boolean;
  /** Whether it is only searched for in the text between the tokens that are not normalized. */
  readonly normalized: boolean;
}

/** The tokenizer that a folder describes. */
export interface TokenizerSpec {
  /** The id of each token, which is written in GPT-2's byte alphabet. */
  readonly vocab: ReadonlyMap<string, number>;
  /** The pairs to merge, in order of priority. */
  readonly merges: readonly (readonly [string, string])[];
  readonly addedTokens: readonly AddedToken[];
  /** The ids before and after every text. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  readonly addPrefixSpace: boolean;
}
