import {
  defined,
  type GenerateRequest,
  InvalidRequestError,
  randomSeed,
  type ServedModel,
  show,
} from '../../../core/index.ts';
import { commonRequest } from '../../common-request.ts';
import { type GenerationBody, samplingDefaults } from './generation-fields.ts';

/** The parts of a request that both routes have in common. */
type CommonParts = Omit<
  GenerateRequest,
  'id' | 'prompts' | 'n' | 'addSpecialTokens' | 'maxNewTokens' | 'numLogprobs' | 'truncatePromptTokens'
>;

/** @throws {InvalidRequestError} fields are not valid, or not together, in a way that the schema cannot express */
export function commonPartsOf(body: GenerationBody): CommonParts {
  checkStream(body);
  checkTokenIds(body.logit_bias ?? {});
  const seed = body.seed === undefined || body.seed === -1 ? randomSeed() : body.seed;
  return {
    ...commonRequest(body, seed, samplingDefaults),
    ...defined({
      truncationSide: body.truncation_side,
      minNewTokens: body.min_tokens,
      includeStop: body.include_stop_str_in_output,
      numPromptLogprobs: body.prompt_logprobs,
    }),
    reportPrompt: body.return_token_ids === true || body.prompt_logprobs !== undefined || hasContinuousUsage(body),
  };
}

function checkTokenIds(biases: Readonly<Record<string, number>>): void {
  const wrong = Object.keys(biases).filter((key) => !/^(0|[1-9]\d{0,14})$/.test(key));
  if (wrong.length === 0) return;
  const shown = wrong
    .slice(0, 10)
    .map((key) => show(key))
    .join(', ');
  throw new InvalidRequestError(`logit_bias has the keys ${shown}; its keys must be token ids`, 'logit_bias');
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
