import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { startServer } from '../../support/fake-generator.ts';

describe('POST /generate', () => {
  test('replies with the whole text', async () => {
    const { post } = await startServer();
    const response = await post({ prompt: 'Hi' });
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      id: expect.stringMatching(/^gen-/),
      model: 'fake',
      text: 'Hello',
      token_ids: [5, 2],
      finish_reason: 'stop',
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
      timings: {
        receive_ms: expect.any(Number),
        validate_ms: expect.any(Number),
        tokenize_ms: 0.5,
        queue_ms: 1,
        prefill_ms: 2,
        decode_ms: 3,
        detokenize_ms: 0.25,
        write_ms: 0,
        total_ms: expect.any(Number),
      },
    });
  });

  test.each([
    ['"stream": true', { prompt: 'Hi', stream: true }, {}],
    ['Accept: text/event-stream', { prompt: 'Hi' }, { accept: 'text/html, Text/Event-Stream;q=0.9' }],
  ])('streams with %s', async (_, body, headers) => {
    const { post } = await startServer();
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

  test('does not stream with "stream": false, whatever the Accept header', async () => {
    const { post } = await startServer();
    const response = await post({ prompt: 'Hi', stream: false }, { accept: 'text/event-stream' });
    expect(response.headers['content-type']).toContain('application/json');
  });

  test('passes on parameters, with defaults for the rest', async () => {
    const { post, generator } = await startServer();
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
      prompts: [[5, 6]],
      maxNewTokens: 7,
      stop: ['x'],
      ignoreEos: true,
      sampling: { temperature: 0.5, topK: 3, topP: 0.9, seed: -1 },
    });
    expect(generator.requests[1]).toMatchObject({
      maxNewTokens: undefined,
      stop: ['a', 'b'],
      ignoreEos: false,
      sampling: { temperature: 0, topK: 0, topP: 1, seed: expect.any(Number) },
    });
  });

  test('any integer is a seed', async () => {
    const { post, generator } = await startServer();
    for (const seed of ['0', '-7', '9223372036854775807', '1e30']) {
      expect((await post(`{"prompt": "x", "seed": ${seed}}`)).statusCode).toBe(200);
    }
    expect(generator.requests).toHaveLength(4);
  });

  test('does not stream if Accept excludes it', async () => {
    const { post } = await startServer();
    const response = await post({ prompt: 'Hi' }, { accept: 'application/json, text/event-stream;q=0' });
    expect(response.headers['content-type']).toContain('application/json');
  });

  test('null means absent', async () => {
    const { post, generator } = await startServer();
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

describe('health', () => {
  test('numbers', async () => {
    const { app } = await startServer();
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
    const { app, generator } = await startServer();
    generator.isReady = false;
    expect((await app.inject('/livez')).statusCode).toBe(200);
    expect((await app.inject('/readyz')).statusCode).toBe(503);
    generator.isReady = true;
    expect((await app.inject('/readyz')).statusCode).toBe(200);
  });
});

test('a connection that arrives while the server closes its connections is closed too', async () => {
  const { app, connections } = await startServer();
  const { hostname, port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  connections.close();
  let answer = '';
  for await (const chunk of connect(Number(port), hostname)) answer += chunk;
  // Otherwise Node would reply after a minute that no request came.
  expect(answer).toBe('');
});

describe('x-request-id', () => {
  const idOf = async (given: string | undefined, payload: object) => {
    const { post } = await startServer();
    const response = await post(payload, given === undefined ? {} : { 'x-request-id': given });
    return response.headers['x-request-id'];
  };

  test.each([{ prompt: 'x' }, { prompt: 'x', stream: true }, { prompt: 5 }])(
    'comes back with a reply to %j',
    async (body) => {
      expect(await idOf('abc-1', body)).toBe('abc-1');
    },
  );

  test.each([undefined, 'with space', 'x'.repeat(129)])('is a new one if %j is given', async (given) => {
    expect(await idOf(given, { prompt: 'x' })).toMatch(/^[\da-f-]{36}$/);
  });

  test('comes with every other reply too', async () => {
    const { app } = await startServer();
    for (const url of ['/nowhere', '/health', '/openapi.json']) {
      expect((await app.inject({ url, headers: { 'x-request-id': 'abc' } })).headers['x-request-id']).toBe('abc');
    }
  });
});
