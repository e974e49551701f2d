import {
  checkWellFormed,
  InvalidRequestError,
  maxLogprobs,
  type RequestParameter,
  requestLimits,
  show,
} from '../core/index.ts';
import type { RequestOptions } from './generate-options.ts';

/** What is allowed, in words, and whether a value is. */
interface Rule {
  readonly allowed: string;
  isMet(value: unknown): boolean;
}

const { maxStops, maxStopLength, maxSaltLength, maxStopTokenIds, maxBadWords, maxPenalty, maxBiases, maxBias } =
  requestLimits;

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isWithin = (value: unknown, [min, max]: readonly [number, number]) =>
  isNumber(value) && value >= min && value <= max;
const isTokenId = (value: unknown) => Number.isInteger(value) && Number(value) >= 0;
const isText = (value: unknown, maxLength: number) =>
  typeof value === 'string' && value !== '' && [...value].length <= maxLength && value.isWellFormed();
const isWord = (value: unknown) => isText(value, maxStopLength);
const isListOf = (value: unknown, isElement: (value: unknown) => boolean, maxLength = Infinity) =>
  Array.isArray(value) && value.length <= maxLength && Array.from(value).every(isElement);

const integer = (min: number): Rule => ({
  allowed: `an integer of at least ${min}`,
  isMet: (value) => Number.isInteger(value) && Number(value) >= min,
});
const share: Rule = {
  allowed: 'a number greater than 0 and at most 1',
  isMet: (value) => isWithin(value, [0, 1]) && value !== 0,
};
const penalty: Rule = {
  allowed: `a number from ${-maxPenalty} to ${maxPenalty}`,
  isMet: (value) => isWithin(value, [-maxPenalty, maxPenalty]),
};
const boolean: Rule = { allowed: 'a boolean', isMet: (value) => typeof value === 'boolean' };
const numLogprobs: Rule = {
  allowed: `an integer from 0 to ${maxLogprobs}`,
  isMet: (value) => Number.isInteger(value) && isWithin(value, [0, maxLogprobs]),
};
const word = `string of 1 to ${maxStopLength} characters`;

const rules: Readonly<Record<keyof RequestOptions, Rule>> = {
  n: integer(1),
  maxNewTokens: integer(1),
  minNewTokens: integer(0),
  temperature: { allowed: 'a number of at least 0', isMet: (value) => isNumber(value) && value >= 0 },
  topK: integer(0),
  topP: share,
  minP: { allowed: 'a number from 0 to 1', isMet: (value) => isWithin(value, [0, 1]) },
  typicalP: share,
  repetitionPenalty: { allowed: 'a number greater than 0', isMet: (value) => isNumber(value) && value > 0 },
  presencePenalty: penalty,
  frequencyPenalty: penalty,
  logitBias: {
    allowed: `an object of up to ${maxBiases} token ids and numbers from ${-maxBias} to ${maxBias}`,
    isMet: isLogitBias,
  },
  allowedTokenIds: {
    allowed: 'a non-empty list of token ids',
    isMet: (value) => isListOf(value, isTokenId) && (value as readonly unknown[]).length > 0,
  },
  badWords: {
    allowed: `a list of up to ${maxBadWords}, each a ${word}`,
    isMet: (value) => isListOf(value, isWord, maxBadWords),
  },
  seed: { allowed: 'an integer', isMet: Number.isInteger },
  stop: {
    allowed: `a ${word}, or a list of up to ${maxStops} of them`,
    isMet: (value) => isWord(value) || isListOf(value, isWord, maxStops),
  },
  stopTokenIds: {
    allowed: `a list of up to ${maxStopTokenIds} token ids`,
    isMet: (value) => isListOf(value, isTokenId, maxStopTokenIds),
  },
  includeStop: boolean,
  ignoreEos: boolean,
  skipSpecialTokens: boolean,
  addSpecialTokens: boolean,
  truncatePromptTokens: integer(1),
  logprobs: numLogprobs,
  promptLogprobs: numLogprobs,
  priority: { allowed: 'an integer', isMet: Number.isInteger },
  cacheSalt: {
    allowed: `a string of 1 to ${maxSaltLength} characters`,
    isMet: (value) => isText(value, maxSaltLength),
  },
};

function isLogitBias(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const biases = Object.entries(value);
  return (
    biases.length <= maxBiases &&
    biases.every(([id, bias]) => /^(0|[1-9][0-9]*)$/.test(id) && isWithin(bias, [-maxBias, maxBias]))
  );
}

/** @throws {InvalidRequestError} the prompt is neither well-formed text nor a list of token ids, or it is empty */
export function checkPrompt(prompt: unknown): void {
  if (typeof prompt === 'string' && prompt !== '') {
    checkWellFormed('prompt', prompt);
    return;
  }
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw notAllowed('prompt', prompt, 'a non-empty string, or a non-empty list of token ids');
  }
  const index = Array.from(prompt).findIndex((id) => !isTokenId(id));
  if (index < 0) return;
  const { allowed } = integer(0);
  throw new InvalidRequestError(`prompt[${index}] is ${show(prompt[index])}; it must be ${allowed}`, 'prompt');
}

/** @throws {InvalidRequestError} an option is unknown or has a value that is not allowed */
export function checkOptions(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (!isOption(name)) {
      const known = Object.keys(rules).join(', ');
      throw new InvalidRequestError(`unknown option ${show(name)}; the options are ${known}, signal`, name);
    }
    const { allowed, isMet } = rules[name];
    if (value !== undefined && !isMet(value)) throw notAllowed(name, value, allowed);
  }
}

function isOption(name: string): name is keyof RequestOptions {
  return Object.hasOwn(rules, name);
}

function notAllowed(name: string, value: unknown, allowed: string): InvalidRequestError {
  return new InvalidRequestError(`${name} is ${show(value)}; it must be ${allowed}`, name);
}

/** The option or argument behind a parameter of a request. */
export function optionOf(parameter: RequestParameter): string {
  return names[parameter] ?? parameter;
}

/** Parameters that go by another name here. */
const names: Readonly<Partial<Record<RequestParameter, keyof RequestOptions | 'prompt'>>> = {
  prompts: 'prompt',
  numLogprobs: 'logprobs',
  reportPrompt: 'promptLogprobs',
  numPromptLogprobs: 'promptLogprobs',
};
