/** Text, or token ids that are used as they are. */
export type Prompt = string | readonly number[];

/** How the next token is chosen. Every field is checked and filled in. See docs/sampling.md for the order of operations. */
export interface SamplingParams {
  /** 0 is greedy. */
  readonly temperature: number;
  /** Sample among the `topK` most likely tokens; 0 is off. */
  readonly topK: number;
  /** Sample among the most likely tokens that together hold this probability; 1 is off. */
  readonly topP: number;
  /** Sample among the tokens that are at least this share as likely as the most likely one; 0 is off. */
  readonly minP: number;
  /** Sample among the most typical tokens that together hold this probability; 1 is off. */
  readonly typicalP: number;
  /** Divides positive logits of tokens of the prompt and the answer, and multiplies negative ones; 1 is off. */
  readonly repetitionPenalty: number;
  /** Subtracted from the logits of tokens of the answer; 0 is off. */
  readonly presencePenalty: number;
  /** Subtracted from the logits of tokens of the answer once per occurrence; 0 is off. */
  readonly frequencyPenalty: number;
  /** Added to the logits of these tokens. */
  readonly logitBias: readonly (readonly [tokenId: number, bias: number])[];
  /** The only tokens that may be drawn; undefined is all. */
  readonly allowedTokenIds: readonly number[] | undefined;
  /** Seed of the request's random numbers. The same seed gives the same tokens, whatever else runs. */
  readonly seed: number;
}

/** Always the most likely token. */
export const greedy: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  typicalP: 1,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  allowedTokenIds: undefined,
  seed: 0,
};

/** A client's request, checked. It asks for `prompts.length * n` choices: choice `i * n + j` is the j-th answer to prompt i. */
export interface GenerateRequest {
  readonly id: string;
  /** At least one. */
  readonly prompts: readonly Prompt[];
  /** Answers per prompt. */
  readonly n: number;
  /** Whether prompts that are text get the model's special tokens, such as a beginning-of-sequence token. */
  readonly addSpecialTokens: boolean;
  /** Longer prompts lose tokens, but no special tokens in front. Undefined means that they are refused. */
  readonly truncatePromptTokens: number | undefined;
  /** Where longer prompts lose tokens: `left` keeps their end. */
  readonly truncationSide: 'left' | 'right';
  /**
   * Upper limit of new tokens, which has to fit into the context together with the prompt; `atMost` is cut to what the context leaves.
   * Undefined means at most {@link defaultMaxNewTokens}.
   */
  readonly maxNewTokens: number | { readonly atMost: number } | undefined;
  /** Until there are this many new tokens, neither an end-of-sequence token nor a stop token is drawn, and stop strings are ignored. */
  readonly minNewTokens: number;
  /** Generation ends before the first of these strings to appear. */
  readonly stop: readonly string[];
  /** Generation ends with the first of these tokens. */
  readonly stopTokenIds: readonly number[];
  /** Whether the text includes the stop string or the text of the stop token. */
  readonly includeStop: boolean;
  /** Whether generation continues past an end-of-sequence token. */
  readonly ignoreEos: boolean;
  /** Whether special tokens are left out of the text. */
  readonly skipSpecialTokens: boolean;
  /** Words that are never generated. */
  readonly badWords: readonly string[];
  readonly sampling: SamplingParams;
  /** Reports the log probability of each new token, and of this many of the most likely ones. */
  readonly numLogprobs: number | undefined;
  /** Reports the log probability of each token of a prompt but the first, and of this many of the most likely ones. */
  readonly numPromptLogprobs: number | undefined;
  /** Whether the reply has the log probabilities of a prompt in each of its answers. False by default. */
  readonly repeatsPrompt?: boolean;
  /** Reports each prompt in a `prompt` event. */
  readonly reportPrompt: boolean;
  /** Lower values go first. */
  readonly priority: number;
  /** Prompts share computed prefixes only with prompts of the same salt. */
  readonly cacheSalt: string | undefined;
}

/** The parts of a request that have a usual value. */
export const requestDefaults = {
  n: 1,
  addSpecialTokens: true,
  truncatePromptTokens: undefined,
  truncationSide: 'left',
  maxNewTokens: undefined,
  minNewTokens: 0,
  stop: [],
  stopTokenIds: [],
  includeStop: false,
  ignoreEos: false,
  skipSpecialTokens: true,
  badWords: [],
  sampling: greedy,
  numLogprobs: undefined,
  reportPrompt: false,
  numPromptLogprobs: undefined,
  priority: 0,
  cacheSalt: undefined,
} as const satisfies Omit<GenerateRequest, 'id' | 'prompts'>;

/** New tokens if a request does not say how many. */
export const defaultMaxNewTokens = 128;

/** The most log probabilities per token, besides that of the token itself. */
export const maxLogprobs = 20;
