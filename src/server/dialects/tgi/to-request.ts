import {
  checkWellFormed,
  defined,
  type GenerateRequest,
  greedy,
  InvalidRequestError,
  randomSeed,
  requestDefaults,
  show,
} from '../../../core/index.ts';
import type { RequestContext } from '../../dialect.ts';
import { type GenerateBody, type Parameters, tgiMaxNewTokens } from './schemas.ts';

/** Parameters of TGI that would change the answer and that Weft does not have. */
const unsupported = ['watermark', 'grammar', 'adapter_id'] as const;

/** @throws {InvalidRequestError} parameters contradict each other, or the model does not allow them */
export function toRequest(
  { inputs, parameters }: GenerateBody,
  { requestId, model }: RequestContext,
  { isStream }: { readonly isStream: boolean },
): GenerateRequest {
  const given = parameters ?? {};
  // As in TGI, a request without parameters samples, and one with empty parameters does not.
  const isSampled = parameters === undefined || samples(parameters);
  checkSupport(given);
  checkWellFormed('inputs', inputs);
  checkWellFormed('parameters.stop', given.stop ?? []);
  checkBestOf(given, { isSampled, isStream });
  checkInputs(given, { isStream, maxModelLen: model.maxModelLen });
  const {
    best_of: n = requestDefaults.n,
    max_new_tokens: maxNewTokens = { atMost: tgiMaxNewTokens },
    stop = [],
    truncate,
  } = given;
  const { decoder_input_details: isPrefillShown = false } = given;
  return {
    ...requestDefaults,
    id: requestId,
    prompts: [inputs],
    n,
    maxNewTokens,
    stop,
    includeStop: true,
    truncatePromptTokens: truncate,
    sampling: {
      ...greedy,
      temperature: isSampled ? (given.temperature ?? 1) : 0,
      ...defined({
        topK: given.top_k,
        topP: given.top_p,
        typicalP: given.typical_p,
        repetitionPenalty: given.repetition_penalty,
        frequencyPenalty: given.frequency_penalty,
      }),
      seed: given.seed ?? randomSeed(),
    },
    numLogprobs: numLogprobsOf(given, { isStream }),
    reportPrompt: isPrefillShown,
    numPromptLogprobs: isPrefillShown ? 0 : undefined,
  };
}

/** Whether the reply, if it is not streamed, has details. */
export function hasDetails({ details = false, decoder_input_details: isPrefillShown = false }: Parameters): boolean {
  return details || isPrefillShown;
}

/** Log probabilities are computed only if they are shown, or decide which answer is the best. */
function numLogprobsOf(parameters: Parameters, { isStream }: { readonly isStream: boolean }): number | undefined {
  const { best_of: bestOf = 1, top_n_tokens: topTokens = 0 } = parameters;
  if (isStream || hasDetails(parameters)) return topTokens;
  return bestOf > 1 ? 0 : undefined;
}

function samples({
  do_sample: isAskedFor = false,
  temperature,
  top_k: topK,
  top_p: topP = 1,
  typical_p: typicalP = 1,
}: Parameters) {
  return isAskedFor || temperature !== undefined || topK !== undefined || topP < 1 || typicalP < 1;
}

function checkSupport(parameters: Readonly<Record<string, unknown>>): void {
  for (const name of unsupported) {
    const value = parameters[name];
    if (value === undefined || value === null || value === false) continue;
    throw refusal(name, `parameters.${name} is ${show(value)}; this field is not supported`);
  }
}

interface Circumstances {
  readonly isSampled: boolean;
  readonly isStream: boolean;
}

function checkBestOf(
  { best_of: bestOf = 1, seed, temperature }: Parameters,
  { isSampled, isStream }: Circumstances,
): void {
  if (bestOf === 1) return;
  const refuse = (message: string) => refusal('best_of', message);
  if (isStream) throw refuse('`best_of` != 1 is not supported when streaming tokens');
  if (!isSampled || temperature === 0) throw refuse('you must use sampling when `best_of` is > 1');
  if (seed !== undefined) throw refuse('`seed` must not be set when `best_of` > 1');
}

function checkInputs(
  { truncate = 1, decoder_input_details: isPrefillShown = false }: Parameters,
  { isStream, maxModelLen = Infinity }: { readonly isStream: boolean; readonly maxModelLen: number | undefined },
): void {
  if (isStream && isPrefillShown) {
    const message = '`decoder_input_details` == true is not supported when streaming tokens';
    throw refusal('decoder_input_details', message);
  }
  if (truncate >= maxModelLen) {
    const message = `\`truncate\` must be strictly positive and less than ${maxModelLen}. Given: ${truncate}`;
    throw refusal('truncate', message);
  }
}

function refusal(parameter: string, message: string): InvalidRequestError {
  return new InvalidRequestError(message, `parameters.${parameter}`);
}
