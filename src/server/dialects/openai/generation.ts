import {
  checkWellFormed,
  defined,
  type GenerateRequest,
  InvalidRequestError,
  randomSeed,
  requestDefaults,
  type SamplingParams,
  type ServedModel,
  show,
} from '../../../core/index.ts';
import { type GenerationBody, samplingDefaults } from './generation-fields.ts';

/** The parts of a request that both routes have in common. */
type CommonParts = Omit<
  GenerateRequest,
  'id' | 'prompts' | 'n' | 'addSpecialTokens' | 'maxNewTokens' | 'numLogprobs' | 'truncatePromptTokens'
>;

/** @throws {InvalidRequestError} fields are not valid, or not together, in a way that the schema cannot express */
export function commonPartsOf(body: GenerationBody): CommonParts {
  checkStream(body);
  const { stop = [], bad_words: badWords = [] } = body;
  checkWellFormed('stop', stop);
  checkWellFormed('bad_words', badWords);
  return {
    ...requestDefaults,
    ...defined({
      truncationSide: body.truncation_side,
      minNewTokens: body.min_tokens,
      stopTokenIds: body.stop_token_ids,
      includeStop: body.include_stop_str_in_output,
      ignoreEos: body.ignore_eos,
      skipSpecialTokens: body.skip_special_tokens,
      numPromptLogprobs: body.prompt_logprobs,
      priority: body.priority,
      cacheSalt: body.cache_salt,
    }),
    stop: [stop].flat(),
    badWords,
    sampling: samplingOf(body),
    reportPrompt: body.return_token_ids === true || body.prompt_logprobs !== undefined || hasContinuousUsage(body),
  };
}

function samplingOf(body: GenerationBody): SamplingParams {
  return {
    ...samplingDefaults,
    ...defined({
      temperature: body.temperature,
      topP: body.top_p,
      minP: body.min_p,
      typicalP: body.typical_p,
      repetitionPenalty: body.repetition_penalty,
      presencePenalty: body.presence_penalty,
      frequencyPenalty: body.frequency_penalty,
      allowedTokenIds: body.allowed_token_ids,
    }),
    topK: Math.max(0, body.top_k ?? samplingDefaults.topK),
    logitBias: logitBiasOf(body.logit_bias ?? {}),
    seed: body.seed === undefined || body.seed === -1 ? randomSeed() : body.seed,
  };
}

function logitBiasOf(biases: Readonly<Record<string, number>>): SamplingParams['logitBias'] {
  const keys = Object.keys(biases);
  const wrong = keys.filter((key) => !/^(0|[1-9]\d{0,14})$/.test(key));
  if (wrong.length > 0) {
    const shown = wrong
      .slice(0, 10)
      .map((key) => show(key))
      .join(', ');
    throw new InvalidRequestError(`logit_bias has the keys ${shown}; its keys must be token ids`, 'logit_bias');
  }
  return Object.entries(biases).map(([id, bias]) => [Number(id), bias]);
}

function checkStream({ stream, stream_options: options, prompt_logprobs: promptLogprobs }: GenerationBody): void {
  if (stream === true && promptLogprobs !== undefined) {
    throw new InvalidRequestError(
      `prompt_logprobs is ${promptLogprobs}; it is only possible without stream`,
      'prompt_logprobs',
    );
  }
  if (stream !== true && options !== undefined) {
    throw new InvalidRequestError(
      `stream_options is ${show(options)}; it is only possible if stream is true`,
      'stream_options',
    );
  }
}

/** Whether there is a chunk with the usage of the whole request. */
export function hasUsageChunk({ stream_options: options }: GenerationBody): boolean {
  return options?.include_usage === true;
}

/** Whether every chunk has the usage of its choice. */
export function hasContinuousUsage(body: GenerationBody): boolean {
  return hasUsageChunk(body) && body.stream_options?.continuous_usage_stats === true;
}

/** How many tokens of a prompt to keep. `-1` leaves room for the answer. */
export function truncationOf(
  { truncate_prompt_tokens: wanted }: GenerationBody,
  maxTokens: number,
  { maxModelLen }: ServedModel,
): number | undefined {
  if (wanted !== -1) return wanted;
  return maxModelLen === undefined ? undefined : Math.max(1, maxModelLen - maxTokens);
}
