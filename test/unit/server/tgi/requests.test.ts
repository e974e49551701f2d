import { beforeEach, describe, expect, test } from 'vitest';
import {
  ContextLengthError,
  EngineError,
  greedy,
  InternalError,
  InvalidParameterError,
  QueueFullError,
  requestDefaults,
  ServingError,
  UnavailableError,
} from '../../../../src/core/index.ts';
import { generateRoute, rootRoute, streamRoute, tgiErrors } from '../../../../src/server/dialects/tgi/index.ts';
import { generateRoute as weftRoute } from '../../../../src/server/dialects/weft/index.ts';
import { startRoutes } from '../../../support/dialect-app.ts';

const routes = [weftRoute, generateRoute, streamRoute, rootRoute];

const { post, generator } = await startRoutes(routes, { model: { maxModelLen: 100 } });

beforeEach(() => {
  generator.requests.length = 0;
  generator.refusal = undefined;
});

/** The request that a body stands for. */
async function requestOf(body: object, url = '/generate') {
  expect((await post(url, body)).statusCode).toBe(200);
  return generator.requests.at(-1);
}

test('parameters become a request, and TGI has its own defaults', async () => {
  const parameters = {
    best_of: 1,
    temperature: 0.5,
    repetition_penalty: 1.1,
    frequency_penalty: -2,
    top_k: 3,
    top_p: 0.9,
    typical_p: 0.8,
    do_sample: true,
    max_new_tokens: 7,
    return_full_text: true,
    stop: ['a', 'b'],
    truncate: 5,
    watermark: false,
    details: true,
    decoder_input_details: true,
    seed: 11,
    top_n_tokens: 4,
    grammar: null,
    adapter_id: null,
    something_new: 'is ignored',
  };
  expect(await requestOf({ inputs: 'Hi', parameters, options: { use_cache: false } })).toEqual({
    ...requestDefaults,
    id: expect.any(String),
    prompts: ['Hi'],
    maxNewTokens: 7,
    stop: ['a', 'b'],
    includeStop: true,
    truncatePromptTokens: 5,
    sampling: {
      ...greedy,
      temperature: 0.5,
      repetitionPenalty: 1.1,
      frequencyPenalty: -2,
      topK: 3,
      topP: 0.9,
      typicalP: 0.8,
      seed: 11,
    },
    numLogprobs: 4,
    reportPrompt: true,
    numPromptLogprobs: 0,
  });
  expect(await requestOf({ inputs: 'Hi', parameters: {} })).toEqual({
    ...requestDefaults,
    id: expect.any(String),
    prompts: ['Hi'],
    maxNewTokens: { atMost: 1024 },
    includeStop: true,
    sampling: { ...greedy, seed: expect.any(Number) },
  });
});

describe('whether a request samples:', () => {
  test.each([
    ['without parameters', {}, 1],
    ['parameters: null', { parameters: null }, 1],
    ['empty parameters', { parameters: {} }, 0],
    ['do_sample', { parameters: { do_sample: true } }, 1],
    ['do_sample: false', { parameters: { do_sample: false } }, 0],
    ['temperature', { parameters: { temperature: 1 } }, 1],
    ['do_sample: false, and a temperature', { parameters: { do_sample: false, temperature: 0.3 } }, 0.3],
    ['temperature 0', { parameters: { temperature: 0, do_sample: true } }, 0],
    ['top_k', { parameters: { top_k: 5 } }, 1],
    ['top_p', { parameters: { top_p: 0.5 } }, 1],
    ['top_p 1, which is off', { parameters: { top_p: 1 } }, 0],
    ['typical_p', { parameters: { typical_p: 0.5 } }, 1],
    ['typical_p 1, which is off', { parameters: { typical_p: 1 } }, 0],
    ['penalties alone', { parameters: { repetition_penalty: 2, frequency_penalty: 1 } }, 0],
  ])('%s', async (_, body, temperature) => {
    expect((await requestOf({ inputs: 'Hi', ...body }))?.sampling.temperature).toBe(temperature);
  });
});

describe('log probabilities are computed only where they are shown or needed:', () => {
  test.each([
    ['a plain reply', '/generate', {}, undefined],
    ['top_n_tokens without details', '/generate', { top_n_tokens: 3 }, undefined],
    ['details', '/generate', { details: true }, 0],
    ['details of the inputs', '/', { decoder_input_details: true }, 0],
    ['a stream', '/generate_stream', {}, 0],
    ['a stream with top_n_tokens', '/generate_stream', { top_n_tokens: 3 }, 3],
    ['best_of', '/generate', { best_of: 2, do_sample: true }, 0],
  ])('%s', async (_, url, parameters, numLogprobs) => {
    expect((await requestOf({ inputs: 'Hi', parameters }, url))?.numLogprobs).toBe(numLogprobs);
  });
});

describe('a refused body is answered with status 422 and what is wrong:', () => {
  test.each<[string, unknown, string]>([
    ['/', {}, 'inputs is missing'],
    ['/', { inputs: '' }, 'inputs is ""; it must be a string that is not empty'],
    ['/', { inputs: ['a'] }, 'inputs is ["a"]; it must be a string'],
    ['/', { inputs: '\ud800' }, 'inputs contains half of a surrogate pair; it must be well-formed text'],
    ['/', '[]', 'the body is []; it must be a JSON object'],
    ['/', '', 'the body is empty; it must be a JSON object'],
    ['/generate', { inputs: 'Hi', parameters: 3 }, 'parameters is 3; it must be an object'],
  ])('%s %j', async (url, body, message) => {
    const response = await post(url, body);
    expect([response.statusCode, response.json()]).toEqual([
      422,
      { error: `Input validation error: ${message}`, error_type: 'validation' },
    ]);
    expect(generator.requests).toEqual([]);
  });
});

describe('a refused parameter is answered with status 422 and what is wrong:', () => {
  const sampled = { do_sample: true };
  test.each<[string, object, string]>([
    ['/generate', { temperature: -1 }, 'parameters.temperature is -1; it must be at least 0'],
    ['/generate', { temperature: '1' }, 'parameters.temperature is "1"; it must be a number'],
    ['/generate', { top_k: 0 }, 'parameters.top_k is 0; it must be at least 1'],
    ['/generate', { top_p: 0 }, 'parameters.top_p is 0; it must be greater than 0 and at most 1'],
    ['/generate', { top_p: 1.1 }, 'parameters.top_p is 1.1; it must be greater than 0 and at most 1'],
    ['/generate', { typical_p: 0 }, 'parameters.typical_p is 0; it must be greater than 0 and at most 1'],
    ['/generate', { repetition_penalty: 0 }, 'parameters.repetition_penalty is 0; it must be greater than 0'],
    ['/generate', { frequency_penalty: 2.5 }, 'parameters.frequency_penalty is 2.5; it must be from -2 to 2'],
    ['/generate', { max_new_tokens: 0 }, 'parameters.max_new_tokens is 0; it must be at least 1'],
    ['/generate', { seed: -1 }, 'parameters.seed is -1; it must be at least 0'],
    ['/generate', { top_n_tokens: 21 }, 'parameters.top_n_tokens is 21; it must be from 0 to 20'],
    ['/generate', { stop: [''] }, 'parameters.stop[0] is ""; it must be a string that is not empty'],
    [
      '/generate',
      { stop: Array(65).fill('x') },
      'parameters.stop is ["x","x","x","x","x","x","x","x","x","x","x","x","x","x","x"…; it must be a list of at most 64 elements',
    ],
    [
      '/generate',
      { stop: ['\udc00'] },
      'parameters.stop[0] contains half of a surrogate pair; it must be well-formed text',
    ],
    ['/generate', { best_of: 0 }, 'parameters.best_of is 0; it must be at least 1'],
    ['/generate', { best_of: 2 }, 'you must use sampling when `best_of` is > 1'],
    ['/generate', { best_of: 2, ...sampled, temperature: 0 }, 'you must use sampling when `best_of` is > 1'],
    ['/generate', { best_of: 2, ...sampled, seed: 1 }, '`seed` must not be set when `best_of` > 1'],
    ['/generate_stream', { best_of: 2, ...sampled }, '`best_of` != 1 is not supported when streaming tokens'],
    [
      '/generate_stream',
      { decoder_input_details: true },
      '`decoder_input_details` == true is not supported when streaming tokens',
    ],
    ['/generate', { truncate: 0 }, 'parameters.truncate is 0; it must be at least 1'],
    ['/generate', { truncate: 100 }, '`truncate` must be strictly positive and less than 100. Given: 100'],
    ['/generate', { watermark: true }, 'parameters.watermark is true; this field is not supported'],
    [
      '/generate',
      { grammar: { type: 'regex', value: 'a' } },
      'parameters.grammar is {"type":"regex","value":"a"}; this field is not supported',
    ],
    ['/generate', { adapter_id: 'x' }, 'parameters.adapter_id is "x"; this field is not supported'],
  ])('%s %j', async (url, parameters, message) => {
    const response = await post(url, { inputs: 'Hi', parameters });
    expect([response.statusCode, response.json()]).toEqual([
      422,
      { error: `Input validation error: ${message}`, error_type: 'validation' },
    ]);
    expect(generator.requests).toEqual([]);
  });
});

test('a stream is asked for with "stream": true, except from /generate_stream', async () => {
  const typeOf = async (url: string, body: object) =>
    `${(await post(url, { inputs: 'Hi', ...body })).headers['content-type']}`.replace(/;.*/, '');
  expect(await typeOf('/generate', {})).toBe('application/json');
  expect(await typeOf('/generate', { stream: true })).toBe('text/event-stream');
  expect(await typeOf('/', { stream: false })).toBe('application/json');
  expect(await typeOf('/', { stream: true })).toBe('text/event-stream');
  expect(await typeOf('/generate_stream', { stream: false })).toBe('text/event-stream');
});

test.each([{}, { inputs: 'Hi', prompt: 'Hi' }])(
  '/generate with both inputs and prompt, or neither, is refused: %j',
  async (body) => {
    const response = await post('/generate', body);
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({
      type: 'invalid_request_error',
      message: expect.stringMatching(/exactly one of the fields prompt .* or inputs/),
    });
  },
);

describe('an error of the generator has the status and the type that TGI gives it:', () => {
  const invalid = (...[parameter, problem, path]: ['n' | 'stop', string, number[]?]) =>
    new InvalidParameterError(path ? { parameter, problem, path } : { parameter, problem });
  test.each<[ServingError, number, string, string]>([
    [invalid('n', 'is 9'), 422, 'validation', 'Input validation error: parameters.best_of is 9'],
    [invalid('stop', 'is odd', [3]), 422, 'validation', 'Input validation error: parameters.stop[3] is odd'],
    [
      new ContextLengthError({ parameter: 'prompts', problem: 'has 200 tokens' }),
      422,
      'validation',
      'Input validation error: inputs has 200 tokens',
    ],
    [new QueueFullError({ numWaiting: 7, numComing: 1, limit: 7 }), 429, 'overloaded', 'Model is overloaded'],
    [new EngineError('no memory', 'the cause'), 424, 'generation', 'Request failed during generation: no memory'],
    [new InternalError(), 500, 'incomplete_generation', 'Incomplete generation'],
    [new UnavailableError('stopping'), 503, 'unavailable', 'stopping'],
    [new ServingError('body_too_large', 'too large'), 413, 'body_too_large', 'too large'],
    [new ServingError('unsupported_media_type', 'not JSON'), 415, 'unsupported_media_type', 'not JSON'],
  ])('%s', async (refusal, status, type, message) => {
    generator.refusal = refusal;
    const response = await post('/generate_stream', { inputs: 'Hi' });
    expect([response.statusCode, response.json()]).toEqual([status, { error: message, error_type: type }]);
  });
});

test('an error body stays under 2 kB', () => {
  const { body } = tgiErrors(new ServingError('invalid_request', '"\u0000💥'.repeat(5000)));
  expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(2000);
});
