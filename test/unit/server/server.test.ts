import { afterEach, describe, expect, test } from 'vitest';
import {
  EngineError,
  type GenerateRequest,
  type GenerationEvent,
  QueueFullError,
  type TextGenerator,
  UnavailableError,
} from '../../../src/core/index.ts';
import { buildServer } from '../../../src/server/index.ts';

/** A generator that answers every request with the same events, and keeps what it was asked. */
class FakeGenerator implements TextGenerator {
  readonly requests: GenerateRequest[] = [];
  isReady = true;
  events: readonly GenerationEvent[] = [
    { type: 'token', index: 0, tokenId: 5, text: 'Hello' },
    { type: 'token', index: 1, tokenId: 2, text: '' },
    {
      type: 'finished',
      finishReason: 'stop',
      usage: { promptTokens: 3, completionTokens: 2 },
      timings: { queueMs: 1, prefillMs: 2.00049, decodeMs: 3, totalMs: 6 },
    },
  ];
  refusal: Error | undefined;

  async submit(request: GenerateRequest): Promise<AsyncIterable<GenerationEvent>> {
    if (this.refusal) throw this.refusal;
    this.requests.push(request);
    return toAsync(this.events);
  }

  stats() {
    return { numRunning: 3, numWaiting: 2, numFreeSlots: 47, numSteps: 11 };
  }
}

async function* toAsync<T>(values: readonly T[]): AsyncIterable<T> {
  yield* values;
}

let close: () => Promise<unknown> = async () => {};
afterEach(() => close());

async function start() {
  const generator = new FakeGenerator();
  const { app } = await buildServer({
    generator,
    modelName: 'fake',
    version: '0.0.0',
    logLevel: 'silent',
    maxBodyBytes: 524_288,
  });
  close = () => app.close();
  const post = (payload: unknown, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: '/generate',
      headers: { 'content-type': 'application/json', ...headers },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    });
  return { app, generator, post };
}

describe('POST /generate', () => {
  test('answers with the whole text', async () => {
    const { post } = await start();
    const response = await post({ prompt: 'Hi' });
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      id: expect.stringMatching(/^gen-/),
      model: 'fake',
      text: 'Hello',
      token_ids: [5, 2],
      finish_reason: 'stop',
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
      timings: { queue_ms: 1, prefill_ms: 2, decode_ms: 3, total_ms: 6 },
    });
  });

  test.each([
    ['"stream": true', { prompt: 'Hi', stream: true }, {}],
    ['Accept: text/event-stream', { prompt: 'Hi' }, { accept: 'text/html, Text/Event-Stream;q=0.9' }],
  ])('streams with %s', async (_, body, headers) => {
    const { post } = await start();
    const response = await post(body, headers);
    expect(response.headers['content-type']).toContain('text/event-stream');
    const events = response.body.trim().split('\n\n');
    expect(events.slice(0, 2)).toEqual([
      'event: token\ndata: {"index":0,"token_id":5,"text":"Hello"}',
      'event: token\ndata: {"index":1,"token_id":2,"text":""}',
    ]);
    expect(events[2]).toMatch(/^event: done\ndata: \{"id":"gen-.*"finish_reason":"stop"/);
    expect(events).toHaveLength(3);
  });

  test('does not stream where the body says so, whatever is accepted', async () => {
    const { post } = await start();
    const response = await post({ prompt: 'Hi', stream: false }, { accept: 'text/event-stream' });
    expect(response.headers['content-type']).toContain('application/json');
  });

  test('passes on what was asked, and fills in the rest', async () => {
    const { post, generator } = await start();
    await post({
      prompt: [5, 6],
      max_new_tokens: 7,
      temperature: 0.5,
      top_k: 3,
      top_p: 0.9,
      seed: -1,
      stop: 'x',
      ignore_eos: true,
    });
    await post({ prompt: 'Hi', top_k: -1, stop: ['a', 'b'] });
    expect(generator.requests[0]).toMatchObject({
      prompt: [5, 6],
      maxNewTokens: 7,
      stop: ['x'],
      sampling: { temperature: 0.5, topK: 3, topP: 0.9, seed: -1, ignoreEos: true },
    });
    expect(generator.requests[1]).toMatchObject({
      maxNewTokens: undefined,
      stop: ['a', 'b'],
      sampling: { temperature: 0, topK: 0, topP: 1, seed: expect.any(Number), ignoreEos: false },
    });
  });

  test('any integer is a seed', async () => {
    const { post, generator } = await start();
    for (const seed of ['0', '-7', '9223372036854775807', '1e30']) {
      expect((await post(`{"prompt": "x", "seed": ${seed}}`)).statusCode).toBe(200);
    }
    expect(generator.requests).toHaveLength(4);
  });

  test('does not stream what is not accepted', async () => {
    const { post } = await start();
    const response = await post({ prompt: 'Hi' }, { accept: 'application/json, text/event-stream;q=0' });
    expect(response.headers['content-type']).toContain('application/json');
  });

  test('null means absent', async () => {
    const { post, generator } = await start();
    const absent = {
      max_new_tokens: null,
      temperature: null,
      top_k: null,
      top_p: null,
      seed: null,
      stop: null,
      stream: null,
    };
    expect((await post({ prompt: 'Hi', ignore_eos: null, ...absent })).statusCode).toBe(200);
    expect(generator.requests[0]?.sampling).toMatchObject({ temperature: 0, topK: 0, topP: 1 });
  });
});

describe('a bad request is a 400 that names the field, its value and what is allowed:', () => {
  const long = 'y'.repeat(5000);
  test.each<[unknown, string | null, string]>([
    [{}, 'prompt', 'prompt is missing'],
    [{ prompt: null }, 'prompt', 'prompt is missing'],
    [
      { prompt: '' },
      'prompt',
      'prompt is ""; it has to be text that is not empty, or a list of token ids, taken as they are',
    ],
    [
      { prompt: [] },
      'prompt',
      'prompt is []; it has to be text that is not empty, or a list of token ids, taken as they are',
    ],
    [
      { prompt: 5 },
      'prompt',
      'prompt is 5; it has to be text that is not empty, or a list of token ids, taken as they are',
    ],
    [{ prompt: [1, '2'] }, 'prompt', 'prompt[1] is "2"; it has to be an integer'],
    [{ prompt: [1, 2.5] }, 'prompt', 'prompt[1] is 2.5; it has to be an integer'],
    [{ prompt: [-1] }, 'prompt', 'prompt[0] is -1; it has to be at least 0'],
    [{ prompt: 'x', max_new_tokens: '7' }, 'max_new_tokens', 'max_new_tokens is "7"; it has to be an integer'],
    [{ prompt: 'x', max_new_tokens: 0 }, 'max_new_tokens', 'max_new_tokens is 0; it has to be at least 1'],
    [{ prompt: 'x', max_new_tokens: 1.5 }, 'max_new_tokens', 'max_new_tokens is 1.5; it has to be an integer'],
    [{ prompt: 'x', temperature: -0.1 }, 'temperature', 'temperature is -0.1; it has to be at least 0'],
    [{ prompt: 'x', temperature: true }, 'temperature', 'temperature is true; it has to be a number'],
    [{ prompt: 'x', top_k: -2 }, 'top_k', 'top_k is -2; it has to be at least -1'],
    [{ prompt: 'x', top_p: 0 }, 'top_p', 'top_p is 0; it has to be greater than 0'],
    [{ prompt: 'x', top_p: 1.01 }, 'top_p', 'top_p is 1.01; it has to be at most 1'],
    [{ prompt: 'x', seed: 1.5 }, 'seed', 'seed is 1.5; it has to be an integer'],
    [
      { prompt: 'x', stop: '' },
      'stop',
      'stop is ""; it has to be text to stop in front of: a string of 1 to 256 characters, or a list of up to 16 of them',
    ],
    [{ prompt: 'x', stop: ['a', ''] }, 'stop', 'stop[1] is ""; it has to be text that is not empty'],
    [
      { prompt: 'x', foo: null },
      'foo',
      'unknown field "foo"; the fields are prompt, max_new_tokens, temperature, top_k, top_p, seed, stop, ignore_eos, stream',
    ],
    ['{"prompt": "x", "stop": ["ok", "\\ude00"]}', 'stop', 'stop holds half a character; it has to be whole ones'],
    [{ prompt: 'x', stop: ['a', 3] }, 'stop', 'stop[1] is 3; it has to be a string'],
    [{ prompt: 'x', stream: 'yes' }, 'stream', 'stream is "yes"; it has to be a boolean'],
    [{ prompt: 'x', ignore_eos: 1 }, 'ignore_eos', 'ignore_eos is 1; it has to be a boolean'],
    [
      { prompt: 'x', max_tokens: 5 },
      'max_tokens',
      'unknown field "max_tokens"; the fields are prompt, max_new_tokens, temperature, top_k, top_p, seed, stop, ignore_eos, stream',
    ],
    [{ prompt: 'x', seed: long }, 'seed', `seed is "${'y'.repeat(59)}…; it has to be an integer`],
    [[1], null, 'the body is [1]; it has to be a JSON object'],
    ['"text"', null, 'the body is "text"; it has to be a JSON object'],
    ['null', null, 'the body is null; it has to be a JSON object'],
    ['', null, 'the body is empty; it has to be a JSON object'],
    ['{"prompt": "x", "temperature": 1e999}', 'temperature', 'temperature is Infinity; it has to be a number'],
    [
      '{"prompt": "x", "__proto__": {"a": 1}}',
      '__proto__',
      'unknown field "__proto__"; the fields are prompt, max_new_tokens, temperature, top_k, top_p, seed, stop, ignore_eos, stream',
    ],
  ])('%#: %.80j', async (body, param, message) => {
    const { post, generator } = await start();
    const response = await post(body);
    expect(response.json()).toEqual({
      error: { message, type: 'invalid_request_error', param, code: 'invalid_request' },
    });
    expect(response.statusCode).toBe(400);
    expect(generator.requests).toEqual([]);
  });

  test.each(['{"prompt": NaN}', '{"prompt": "x"', "{'prompt': 'x'}", '{"prompt": "x"}}', '\u0000'])(
    '%s is no JSON',
    async (body) => {
      const { post } = await start();
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
  ])('%s is cut', async (_, body: unknown) => {
    const { post } = await start();
    const response = await post(body);
    expect(response.statusCode).toBe(400);
    expect(response.rawPayload.length).toBeLessThan(2000);
  });
});

describe('errors have one shape everywhere:', () => {
  test.each([
    [
      'a foreign content type',
      { 'content-type': 'text/plain' },
      415,
      'unsupported_media_type',
      /content-type is "text\/plain"; it has to be application\/json/,
    ],
    [
      'a form, as curl -d sends it',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'unsupported_media_type',
      /it has to be application\/json/,
    ],
  ])('%s', async (_, headers, status, code, message) => {
    const { post } = await start();
    const response = await post({ prompt: 'x' }, headers);
    expect(response.statusCode).toBe(status);
    expect(response.json().error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('a body of 10 MB', async () => {
    const { post } = await start();
    const response = await post({ prompt: 'x'.repeat(10 * 2 ** 20) });
    expect(response.statusCode).toBe(413);
    expect(response.json().error).toMatchObject({
      code: 'body_too_large',
      message: expect.stringContaining('larger than the 524288 bytes'),
    });
  });

  test.each([
    ['GET', '/nowhere'],
    ['GET', '/generate'],
    ['DELETE', '/health'],
    ['GET', `/${'long'.repeat(1000)}`],
  ] as const)('%s %s', async (method, url) => {
    const { app } = await start();
    const response = await app.inject({ method, url });
    expect(response.statusCode).toBe(404);
    expect(response.json().error).toMatchObject({ code: 'not_found', param: null });
    expect(response.rawPayload.length).toBeLessThan(2000);
  });

  test.each(['/%c0', `/%c0${'long'.repeat(2000)}`])('a path that is no path: %.20s', async (url) => {
    const { app } = await start();
    const response = await app.inject({ method: 'GET', url });
    expect(response.statusCode).toBe(400);
    expect(response.json().error.code).toBe('invalid_request');
    expect(response.rawPayload.length).toBeLessThan(2000);
  });

  test('a full queue, with the time to wait', async () => {
    const { post, generator } = await start();
    generator.refusal = new QueueFullError(512);
    const response = await post({ prompt: 'x', stream: true });
    expect(response.statusCode).toBe(429);
    expect(response.headers['retry-after']).toBe('1');
    expect(response.json().error).toMatchObject({ code: 'queue_full', type: 'rate_limit_error' });
  });

  test('a server that shuts down', async () => {
    const { post, generator } = await start();
    generator.refusal = new UnavailableError();
    const response = await post({ prompt: 'x' });
    expect(response.statusCode).toBe(503);
    expect(response.headers.connection).toBe('close');
    expect(response.json().error.code).toBe('unavailable');
  });

  test('a defect, of which the client is told nothing', async () => {
    const { post, generator } = await start();
    generator.refusal = new TypeError('secret of the house');
    const response = await post({ prompt: 'x' });
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain('secret');
    expect(response.json().error.code).toBe('internal_error');
  });

  test('an engine that fails: a 500, or an error event where tokens have been sent', async () => {
    const { post, generator } = await start();
    generator.events = [
      { type: 'token', index: 0, tokenId: 5, text: 'Hello' },
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

describe('health', () => {
  test('numbers', async () => {
    const { app } = await start();
    const response = await app.inject('/health');
    expect(response.json()).toEqual({
      status: 'ready',
      model: 'fake',
      running: 3,
      waiting: 2,
      free_slots: 47,
      steps: 11,
    });
  });

  test('the process is live from the start, and ready when the engine is', async () => {
    const { app, generator } = await start();
    generator.isReady = false;
    expect((await app.inject('/livez')).statusCode).toBe(200);
    expect((await app.inject('/readyz')).statusCode).toBe(503);
    generator.isReady = true;
    expect((await app.inject('/readyz')).statusCode).toBe(200);
  });
});

test('/openapi.json has the defaults and the bounds', async () => {
  const { app } = await start();
  const document = (await app.inject('/openapi.json')).json();
  const { properties, required, additionalProperties } =
    document.paths['/generate'].post.requestBody.content['application/json'].schema;
  expect(required).toEqual(['prompt']);
  expect(additionalProperties).toBe(false);
  expect(properties.temperature).toMatchObject({ type: 'number', minimum: 0, default: 0 });
  expect(properties.top_p).toMatchObject({ maximum: 1, default: 1 });
  expect(properties.max_new_tokens).toMatchObject({ type: 'integer', minimum: 1, default: 128 });
  expect(Object.keys(document.paths)).toEqual(['/generate', '/livez', '/readyz', '/health']);
});
