import { describe, expect, test } from 'vitest';
import {
  ContextLengthError,
  EngineError,
  InvalidParameterError,
  QueueFullError,
  UnavailableError,
} from '../../../src/core/index.ts';
import { startServer } from '../../support/fake-generator.ts';

describe('a bad request is a 400 that names the field, its value and what is allowed:', () => {
  const long = 'y'.repeat(5000);
  const noDialect = "the body must have exactly one of the fields prompt (Weft's own API) or inputs (TGI)";
  const fields =
    'prompt, n, max_new_tokens, min_new_tokens, temperature, top_p, top_k, min_p, typical_p, repetition_penalty, presence_penalty, frequency_penalty, allowed_token_ids, bad_words, stop, stop_token_ids, ignore_eos, skip_special_tokens, priority, cache_salt, logit_bias, seed, include_stop, add_special_tokens, truncate_prompt_tokens, logprobs, prompt_logprobs, stream';
  test.each<[unknown, string | null, string]>([
    ...[{}, { prompt: null }, { prompt: 'x', inputs: 'x' }].map(
      (body) => [body, null, noDialect] satisfies [unknown, null, string],
    ),
    [
      { prompt: '' },
      'prompt',
      'prompt is ""; it must be a non-empty string, or a non-empty list of token ids, or a non-empty list of such prompts',
    ],
    [
      { prompt: [] },
      'prompt',
      'prompt is []; it must be a non-empty string, or a non-empty list of token ids, or a non-empty list of such prompts',
    ],
    [
      { prompt: 5 },
      'prompt',
      'prompt is 5; it must be a non-empty string, or a non-empty list of token ids, or a non-empty list of such prompts',
    ],
    [{ prompt: [1, '2'] }, 'prompt', 'prompt[1] is "2"; it must be an integer'],
    [{ prompt: [1, 2.5] }, 'prompt', 'prompt[1] is 2.5; it must be an integer'],
    [{ prompt: [-1] }, 'prompt', 'prompt[0] is -1; it must be at least 0'],
    [{ prompt: 'x', max_new_tokens: '7' }, 'max_new_tokens', 'max_new_tokens is "7"; it must be an integer'],
    [{ prompt: 'x', max_new_tokens: 0 }, 'max_new_tokens', 'max_new_tokens is 0; it must be at least 1'],
    [{ prompt: 'x', max_new_tokens: 1.5 }, 'max_new_tokens', 'max_new_tokens is 1.5; it must be an integer'],
    [{ prompt: 'x', temperature: -0.1 }, 'temperature', 'temperature is -0.1; it must be at least 0'],
    [{ prompt: 'x', temperature: true }, 'temperature', 'temperature is true; it must be a number'],
    [{ prompt: 'x', top_k: -2 }, 'top_k', 'top_k is -2; it must be at least -1'],
    [{ prompt: 'x', top_p: 0 }, 'top_p', 'top_p is 0; it must be greater than 0 and at most 1'],
    [{ prompt: 'x', top_p: 1.01 }, 'top_p', 'top_p is 1.01; it must be greater than 0 and at most 1'],
    [{ prompt: 'x', seed: 1.5 }, 'seed', 'seed is 1.5; it must be an integer'],
    [
      { prompt: 'x', stop: '' },
      'stop',
      'stop is ""; it must be text to stop in front of: a string of 1 to 1024 characters, or a list of up to 64 of them',
    ],
    [{ prompt: 'x', stop: ['a', ''] }, 'stop', 'stop[1] is ""; it must be a string that is not empty'],
    [{ prompt: 'x', foo: null }, 'foo', `unknown field "foo"; the fields are ${fields}`],
    [
      '{"prompt": "x", "stop": ["ok", "\\ude00"]}',
      'stop',
      'stop[1] contains half of a surrogate pair; it must be well-formed text',
    ],
    [{ prompt: 'x', stop: ['a', 3] }, 'stop', 'stop[1] is 3; it must be a string'],
    [{ prompt: 'x', stream: 'yes' }, 'stream', 'stream is "yes"; it must be a boolean'],
    [{ prompt: 'x', ignore_eos: 1 }, 'ignore_eos', 'ignore_eos is 1; it must be a boolean'],
    [{ prompt: 'x', max_tokens: 5 }, 'max_tokens', `unknown field "max_tokens"; the fields are ${fields}`],
    [{ prompt: 'x', seed: long }, 'seed', `seed is "${'y'.repeat(59)}…; it must be an integer`],
    [[1], null, 'the body is [1]; it must be a JSON object'],
    ['"text"', null, 'the body is "text"; it must be a JSON object'],
    ['null', null, 'the body is null; it must be a JSON object'],
    ['', null, 'the body is empty; it must be a JSON object'],
    ['{"prompt": "x", "temperature": 1e999}', 'temperature', 'temperature is Infinity; it must be a number'],
    ['{"prompt": "x", "__proto__": {"a": 1}}', '__proto__', `unknown field "__proto__"; the fields are ${fields}`],
  ])('%#: %.80j', async (body, param, message) => {
    const { post, generator } = await startServer();
    const response = await post(body);
    expect(response.json()).toEqual({
      error: { message, type: 'invalid_request_error', param, code: 'invalid_request' },
    });
    expect(response.statusCode).toBe(400);
    expect(generator.requests).toEqual([]);
  });

  test.each(['{"prompt": NaN}', '{"prompt": "x"', "{'prompt': 'x'}", '{"prompt": "x"}}', '\u0000'])(
    '%s is not JSON',
    async (body) => {
      const { post } = await startServer();
      const response = await post(body);
      expect(response.statusCode).toBe(400);
      expect(response.json().error).toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(/^the body is not JSON: /),
      });
    },
  );

  test.each([
    ['a long name', { prompt: 'x', [long]: 1 }],
    ['a long value', { prompt: 'x', seed: long }],
    ['a long list', { prompt: 'x', top_k: Array(10_000).fill(9) }],
    ['a long wide text', { prompt: 'x', seed: '🦉'.repeat(9999) }],
    ['deep nesting', { prompt: 'x', stop: JSON.parse('['.repeat(500) + ']'.repeat(500)) }],
    ['nesting too deep to be written', `{"prompt": "x", "seed": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
  ])('the message about %s is cut', async (_, body: unknown) => {
    const { post } = await startServer();
    const response = await post(body);
    expect(response.statusCode).toBe(400);
    expect(response.rawPayload.length).toBeLessThan(2000);
  });
});

describe('errors have one shape everywhere:', () => {
  test.each([
    [
      'another content type',
      { 'content-type': 'text/plain' },
      415,
      'unsupported_media_type',
      /content-type is "text\/plain"; it must be application\/json/,
    ],
    [
      'a form, as curl -d sends it',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'unsupported_media_type',
      /it must be application\/json/,
    ],
    [
      'a compressed body',
      { 'content-encoding': 'gzip' },
      415,
      'unsupported_media_type',
      /^content-encoding is "gzip"; it must be identity, or left out$/,
    ],
    [
      'another charset',
      { 'content-type': 'application/json; charset=ISO-8859-1' },
      415,
      'unsupported_media_type',
      /^content-type is "application\/json; charset=ISO-8859-1"; its charset must be utf-8, or left out$/,
    ],
  ])('%s', async (_, headers, status, code, message) => {
    const { post } = await startServer();
    const response = await post({ prompt: 'x' }, headers);
    expect(response.statusCode).toBe(status);
    expect(response.json().error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test.each([
    { 'content-encoding': 'identity' },
    { 'content-type': 'application/json; charset=UTF-8' },
    { 'content-type': 'application/json;charset="utf8"' },
    { 'content-type': 'application/json; charset=us-ascii' },
  ])('equivalent headers are accepted: %j', async (headers) => {
    const { post } = await startServer();
    expect((await post({ prompt: 'x' }, headers)).statusCode).toBe(200);
  });

  test('a body of 10 MB', async () => {
    const { post } = await startServer();
    const response = await post({ prompt: 'x'.repeat(10 * 2 ** 20) });
    expect(response.statusCode).toBe(413);
    expect(response.json().error).toMatchObject({
      code: 'body_too_large',
      message: expect.stringContaining('larger than the 524288 bytes that are allowed'),
    });
  });

  test.each([
    ['GET', '/nowhere'],
    ['GET', '/generate'],
    ['DELETE', '/health'],
    ['GET', `/${'long'.repeat(1000)}`],
  ] as const)('%s %s', async (method, url) => {
    const { app } = await startServer();
    const response = await app.inject({ method, url });
    expect(response.statusCode).toBe(404);
    expect(response.json().error).toMatchObject({ code: 'not_found', param: null });
    expect(response.rawPayload.length).toBeLessThan(2000);
  });

  test.each(['/%c0', `/%c0${'long'.repeat(2000)}`])('a malformed path: %.20s', async (url) => {
    const { app } = await startServer();
    const response = await app.inject({ method: 'GET', url });
    expect(response.statusCode).toBe(400);
    expect(response.json().error.code).toBe('invalid_request');
    expect(response.rawPayload.length).toBeLessThan(2000);
  });

  test.each([
    [
      new ContextLengthError({ parameter: 'maxNewTokens', problem: 'is 9; at most 8 are possible' }),
      { message: 'max_new_tokens is 9; at most 8 are possible', param: 'max_new_tokens' },
    ],
    [
      new InvalidParameterError({ parameter: 'prompts', path: [3], problem: 'is 9; it must be at most 8' }),
      { message: 'prompt[3] is 9; it must be at most 8', param: 'prompt' },
    ],
  ])('a parameter that the generator refuses is reported by the name of its field: $message', async (error, body) => {
    const { post, generator } = await startServer();
    generator.refusal = error;
    const response = await post({ prompt: 'x' });
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({ ...body, code: error.code });
    generator.refusal = undefined;
    generator.events = [{ type: 'error', error }];
    expect((await post({ prompt: 'x', stream: true })).body).toContain(JSON.stringify(body.message));
  });

  test('a full queue, with Retry-After', async () => {
    const { post, generator } = await startServer();
    generator.refusal = new QueueFullError({ numWaiting: 512, numComing: 1, limit: 512 });
    const response = await post({ prompt: 'x', stream: true });
    expect(response.statusCode).toBe(429);
    expect(response.headers['retry-after']).toBe('1');
    expect(response.json().error).toMatchObject({ code: 'queue_full', type: 'rate_limit_error' });
  });

  test('a server that is shutting down', async () => {
    const { post, generator } = await startServer();
    generator.refusal = new UnavailableError();
    const response = await post({ prompt: 'x' });
    expect(response.statusCode).toBe(503);
    expect(response.headers.connection).toBe('close');
    expect(response.json().error.code).toBe('unavailable');
  });

  test.each([
    ['in this code', new TypeError('secret of the house')],
    [
      'in what it uses',
      Object.assign(new Error('secret of the house'), { statusCode: 500, code: 'FST_ERR_SOMETHING' }),
    ],
    ['with a status that is not an error', Object.assign(new Error('secret of the house'), { statusCode: 302 })],
  ])('a bug %s, about which the client learns nothing', async (_, defect) => {
    const { post, generator } = await startServer();
    generator.refusal = defect;
    const response = await post({ prompt: 'x' });
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain('secret');
    expect(response.json().error.code).toBe('internal_error');
  });

  test('an engine that fails: a 500, or an error event in a stream', async () => {
    const { post, generator } = await startServer();
    generator.events = [
      { type: 'token', choice: 0, index: 0, token: { id: 5 }, text: 'Hello', isLast: false },
      { type: 'error', error: new EngineError('out of memory') },
    ];
    const whole = await post({ prompt: 'x' });
    expect(whole.statusCode).toBe(500);
    expect(whole.json().error).toMatchObject({ code: 'engine_failed', message: 'out of memory' });
    const streamed = await post({ prompt: 'x', stream: true });
    expect(streamed.body).toContain(
      'event: error\ndata: {"error":{"message":"out of memory","type":"server_error","param":null,"code":"engine_failed"}}',
    );
  });
});
