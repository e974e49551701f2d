import { randomInt, randomUUID } from 'node:crypto';
import {
  type GenerateRequest,
  greedy,
  InvalidParameterError,
  InvalidRequestError,
  type RequestParameter,
  requestDefaults,
  show,
} from '../core/index.ts';

/** Text, or token ids, which are used as they are. */
export type Prompt = string | readonly number[];

export interface GenerateOptions {
  /** The maximum number of new tokens. By default 128, or what the context leaves if that is less. */
  readonly maxNewTokens?: number | undefined;
  /** 0, the default, always picks the likeliest token. */
  readonly temperature?: number | undefined;
  /** Sample among this many of the likeliest tokens. 0, the default, turns this off. */
  readonly topK?: number | undefined;
  /** Sample among the likeliest tokens with this total probability. 1, the default, turns this off. */
  readonly topP?: number | undefined;
  /** The same seed gives the same tokens. Random by default. */
  readonly seed?: number | undefined;
  /** Generation ends before the first of these strings, which are not part of the text. */
  readonly stop?: string | readonly string[] | undefined;
  /** Keep going past the end-of-sequence token. */
  readonly ignoreEos?: boolean | undefined;
  /** Cancels the request. */
  readonly signal?: AbortSignal | undefined;
}

type Parameters = Omit<GenerateOptions, 'signal'>;

/** What is allowed, in words, and whether a value is. */
interface Rule {
  readonly allowed: string;
  isMet(value: unknown): boolean;
}

const isText = (value: unknown) => typeof value === 'string' && value !== '' && value.isWellFormed();

const rules: Readonly<Record<keyof Parameters, Rule>> = {
  maxNewTokens: {
    allowed: 'an integer of at least 1',
    isMet: (value) => Number.isInteger(value) && Number(value) >= 1,
  },
  temperature: { allowed: 'a number of at least 0', isMet: (value) => Number.isFinite(value) && Number(value) >= 0 },
  topK: { allowed: 'an integer of at least 0', isMet: (value) => Number.isInteger(value) && Number(value) >= 0 },
  topP: {
    allowed: 'a number greater than 0 and at most 1',
    isMet: (value) => typeof value === 'number' && value > 0 && value <= 1,
  },
  seed: { allowed: 'an integer', isMet: Number.isInteger },
  stop: {
    allowed: 'a non-empty string, or a list of non-empty strings',
    isMet: (value) => Array.from(Array.isArray(value) ? value : [value]).every(isText),
  },
  ignoreEos: { allowed: 'a boolean', isMet: (value) => typeof value === 'boolean' },
};

/** @throws {ServingError} the prompt or an option is not valid */
export function toRequest(prompt: Prompt, options: Parameters): GenerateRequest {
  checkPrompt(prompt);
  checkOptions(options);
  const { maxNewTokens, stop = [], seed = randomInt(2 ** 47) } = options;
  const { temperature = greedy.temperature, topK = greedy.topK } = options;
  const { topP = greedy.topP, ignoreEos = false } = options;
  return {
    ...requestDefaults,
    id: randomUUID(),
    prompts: [prompt],
    maxNewTokens,
    stop: [stop].flat(),
    ignoreEos,
    sampling: { ...greedy, temperature, topK, topP, seed },
  };
}

function checkPrompt(prompt: unknown): void {
  if (typeof prompt === 'string' && prompt !== '') return;
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw notAllowed('prompts', prompt, 'a non-empty string, or a non-empty list of token ids');
  }
  const index = prompt.findIndex((id) => !Number.isInteger(id) || id < 0);
  if (index >= 0) throw notAllowed('prompts', prompt[index], 'an integer of at least 0', index);
}

function checkOptions(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (!isParameter(name)) {
      throw new InvalidRequestError(
        `unknown option ${show(name)}; the options are ${Object.keys(rules).join(', ')}, signal`,
        name,
      );
    }
    const { allowed, isMet } = rules[name];
    if (value !== undefined && !isMet(value)) throw notAllowed(name, value, allowed);
  }
}

function isParameter(name: string): name is keyof Parameters {
  return Object.hasOwn(rules, name);
}

function notAllowed(
  parameter: RequestParameter,
  value: unknown,
  ...[allowed, index]: [allowed: string, index?: number]
): InvalidParameterError {
  const problem = `is ${show(value)}; it must be ${allowed}`;
  return new InvalidParameterError(
    index === undefined ? { parameter, problem } : { parameter, path: [index], problem },
  );
}
