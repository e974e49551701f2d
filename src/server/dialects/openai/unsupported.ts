import { InvalidRequestError, show } from '../../../core/index.ts';

/** Fields that would change the answer in a way that is not supported, with the values that would not, as JSON. */
type UnsupportedFields = Readonly<Record<string, readonly string[]>>;

const ofBothRoutes: UnsupportedFields = {
  response_format: ['{"type":"text"}'],
  structured_outputs: [],
  guided_json: [],
  guided_regex: [],
  guided_choice: [],
  guided_grammar: [],
  guided_decoding_backend: [],
  guided_whitespace_pattern: [],
  use_beam_search: ['false'],
  logprob_token_ids: [],
  repetition_detection: [],
  prompt_logprobs_temperature: ['1'],
};

/** Fields that `POST /v1/completions` refuses. */
export const unsupportedInCompletions: UnsupportedFields = { ...ofBothRoutes, suffix: ['""'], prompt_embeds: ['[]'] };

/** Fields that `POST /v1/chat/completions` refuses. */
export const unsupportedInChat: UnsupportedFields = {
  ...ofBothRoutes,
  tools: ['[]'],
  tool_choice: ['"none"', '"auto"'],
  functions: ['[]'],
  function_call: ['"none"', '"auto"'],
  modalities: ['["text"]'],
  audio: [],
  web_search_options: [],
};

/** Empty for a value that is nested so deeply that it cannot be written. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return '';
  }
}

/** For the description of a body. */
export function listUnsupported(fields: UnsupportedFields): string {
  const names = Object.entries(fields).map(([name, allowed]) =>
    allowed.length === 0 ? name : `${name} (other than ${allowed.join(' or ')})`,
  );
  return `Unknown fields are ignored, null means absent, and these are refused: ${names.join(', ')}.`;
}

/** @throws {InvalidRequestError} the body asks for what is not supported */
export function refuseUnsupported(body: object, fields: UnsupportedFields): void {
  for (const [name, value] of Object.entries(body)) {
    if (value === null || !Object.hasOwn(fields, name)) continue;
    const allowed = fields[name] ?? [];
    if (allowed.length > 0 && allowed.includes(jsonOf(value))) continue;
    const rule = allowed.length === 0 ? 'this field is not supported' : `only ${allowed.join(' or ')} is supported`;
    throw new InvalidRequestError(`${name} is ${show(value)}; ${rule}`, name);
  }
}
