import { fastifySSE } from '@fastify/sse';
import { type FastifyServerOptions, fastify } from 'fastify';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { GenerationEvent, TextGenerator } from '../../../src/core/index.ts';
import { routes } from '../../../src/server/routes.ts';
import { aborted, FakeGenerator, ScriptedGenerator, tokenEvent } from '../../support/fake-generator.ts';
import { connectTo, postOf, readUntil } from '../../support/raw-connection.ts';
import { fakeModel } from '../../support/served-model.ts';
import { until } from '../../support/until.ts';

function optionsFor(generator: TextGenerator) {
  return { generator, model: fakeModel(), version: '0', maxBodyBytes: 1000, sseHeartbeatMs: 15_000 };
}

/** An application that does everything in its own way, with Weft's routes under a prefix. */
async function startApplication(generator: TextGenerator = new FakeGenerator(), options: FastifyServerOptions = {}) {
  const app = fastify({
    ...options,
    bodyLimit: 100,
    ajv: { customOptions: { coerceTypes: 'array', removeAdditional: 'all', useDefaults: true, allErrors: true } },
    schemaErrorFormatter: () => new Error('formatted by the application'),
  });
  onTestFinished(() => app.close());
  app.setValidatorCompiler(() => (value) => (value === 'bad' ? { error: new Error('not valid here') } : { value }));
  app.setSerializerCompiler(() => () => '"serialized by the application"');
  app.setErrorHandler((error: Error & { statusCode?: number }, _, reply) => {
    reply.code(error.statusCode ?? 500).send({ application: error.message });
  });
  app.setNotFoundHandler((_, reply) => void reply.code(404).send('nothing here'));
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async () => 'parsed by the application');
  app.addContentTypeParser('*', { parseAs: 'string' }, async () => 'bad');
  app.addHook('onRequest', async ({ headers }) => {
    if (headers.authorization === 'none') throw Object.assign(new Error('who are you?'), { statusCode: 401 });
  });
  app.addHook('onRequest', async (_, reply) => void reply.header('x-application', 'yes'));
  await app.register(fastifySSE);
  app.post(
    '/own',
    { schema: { body: { type: 'object' }, response: { 200: { type: 'string' } } } },
    async ({ body }) => body,
  );
  app.get('/own', { schema: { response: { 200: { type: 'object' } } } }, async () => ({ a: 1 }));
  app.get('/own-stream', { sse: 'only' }, async (_, reply) => reply.sse.send({ data: 'mine' }));
  await app.register(routes, { ...optionsFor(generator), prefix: '/llm' });
  const post = (payload: string | object, headers: Record<string, string> = {}, url = '/llm/generate') =>
    app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json', ...headers }, payload });
  return { app, post };
}

describe('in an application with its own conventions', () => {
  test('routes reply as in a server of their own', async () => {
    const { app, post } = await startApplication();
    const whole = await post({ prompt: 'x' });
    expect(whole.json()).toMatchObject({ model: 'fake', text: 'Hello', token_ids: [5, 2] });
    expect(whole.headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'x-application': 'yes' });
    const streamed = await post({ prompt: 'x', stream: true });
    expect(streamed.body).toMatch(/^event: token\n.*\nevent: done\n.*\n\n$/s);
    expect(streamed.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-application': 'yes' });
    expect((await app.inject('/llm/health')).json()).toMatchObject({ status: 'ready', model: 'fake' });
  });

  test.each([
    [{ prompt: 'x', max_new_tokens: '7' }, {}, 400, 'max_new_tokens is "7"; it must be an integer'],
    [{ prompt: 'x', foo: 1 }, {}, 400, /^unknown field "foo"/],
    ['{', {}, 400, /^the body is not JSON/],
    ['', {}, 400, 'the body is empty; it must be a JSON object'],
    ['x', { 'content-type': 'text/plain' }, 415, /^content-type is "text\/plain"/],
    [{ prompt: 'x'.repeat(1000) }, {}, 413, 'the body is larger than the 1000 bytes that are allowed'],
  ])('%j is refused in the shape of the dialect', async (payload, headers, status, message) => {
    const { post } = await startApplication();
    const response = await post(payload, headers);
    expect(response.statusCode).toBe(status);
    expect(response.json().error.message).toMatch(message);
  });

  test('a bug in the generator is logged, and the client learns nothing about it', async () => {
    const lines: string[] = [];
    const generator = new FakeGenerator();
    generator.refusal = new TypeError('secret');
    const { post } = await startApplication(generator, {
      logger: { level: 'error', stream: { write: (line: string) => void lines.push(line) } },
    });
    const response = await post({ prompt: 'x' });
    expect(response.statusCode).toBe(500);
    expect(response.json().error.code).toBe('internal_error');
    expect(lines).toEqual([expect.stringContaining('TypeError: secret')]);
  });

  test('what hooks of the application throw goes to its error handler', async () => {
    const { post } = await startApplication();
    const response = await post({ prompt: 'x' }, { authorization: 'none' });
    expect(response.statusCode).toBe(401);
    expect(response.body).toBe('{"application":"who are you?"}');
  });

  test('everything else stays as it was', async () => {
    const { app, post } = await startApplication();
    expect((await post({ a: 1 }, {}, '/own')).body).toBe('parsed by the application');
    expect((await app.inject('/own')).body).toBe('"serialized by the application"');
    const refused = await post('x', { 'content-type': 'text/csv' }, '/own');
    expect(refused.json()).toEqual({ application: 'not valid here' });
    expect((await post('x'.repeat(200), {}, '/own')).statusCode).toBe(413);
    expect((await app.inject('/own-stream')).body).toBe('data: "mine"\n\n');
    expect((await app.inject('/llm/nowhere')).body).toBe('nothing here');
    expect((await app.inject('/generate')).statusCode).toBe(404);
  });
});

test('routes of two models are mounted under two prefixes', async () => {
  const app = fastify();
  onTestFinished(() => app.close());
  for (const name of ['a', 'b']) {
    await app.register(routes, {
      ...optionsFor(new FakeGenerator()),
      model: fakeModel({ name }),
      prefix: `/${name}`,
    });
  }
  for (const name of ['a', 'b']) {
    expect((await app.inject(`/${name}/health`)).json().model).toBe(name);
  }
});

describe('a client of an application', () => {
  /** Yields one token, then waits until the client disconnects. */
  async function* untilGone(_: unknown, signal: AbortSignal): AsyncIterable<GenerationEvent> {
    yield tokenEvent('Hello');
    await aborted(signal);
  }

  async function connect() {
    const generator = new ScriptedGenerator(untilGone);
    const { app } = await startApplication(generator);
    await app.listen({ host: '127.0.0.1', port: 0 });
    return { client: await connectTo(app.server), generator };
  }

  const body = { prompt: [5] };
  const post = (changes = {}) => postOf({ ...body, ...changes }).replace('/generate', '/llm/generate');

  test.each(['destroy', 'end'] as const)('that disconnects (%s) during a stream cancels its request', async (leave) => {
    const { client, generator } = await connect();
    client.write(post({ stream: true }));
    await readUntil(client, 'Hello');
    expect(generator.numOpen).toBe(1);
    client[leave]();
    await until(async () => generator.numOpen === 0);
  });

  test.each(['destroy', 'end'] as const)('that disconnects (%s) cancels all its pipelined requests', async (leave) => {
    const uncaught = vi.fn();
    process.on('uncaughtExceptionMonitor', uncaught);
    onTestFinished(() => void process.off('uncaughtExceptionMonitor', uncaught));
    const warning = vi.spyOn(process, 'emitWarning');
    const { client, generator } = await connect();
    client.write(post().repeat(20));
    await until(async () => generator.numOpen === 20);
    client[leave]();
    await until(async () => generator.numOpen === 0);
    expect(uncaught).not.toHaveBeenCalled();
    expect(warning).not.toHaveBeenCalled();
  });
});

describe('in an application without an error handler, a hook that throws', () => {
  test.each<[string, unknown, number]>([
    ['an error with a status', Object.assign(new Error('no token'), { statusCode: 401 }), 401],
    ['an error whose code is a number', Object.assign(new Error('duplicate'), { code: 11_000 }), 500],
    ['an error whose code is undefined', Object.assign(new Error('odd'), { code: undefined }), 500],
    ['a DOMException', new DOMException('timed out', 'TimeoutError'), 500],
  ])('%s gives the reply that it gives on its own routes', async (_, thrown, status) => {
    const app = fastify();
    onTestFinished(() => app.close());
    app.addHook('onRequest', async () => {
      throw thrown;
    });
    app.post('/own', async () => ({}));
    await app.register(routes, { ...optionsFor(new FakeGenerator()), prefix: '/llm' });
    const post = (url: string) => app.inject({ method: 'POST', url, payload: { prompt: 'x' } });
    const [own, weft] = [await post('/own'), await post('/llm/generate')];
    expect([weft.statusCode, weft.json().message]).toEqual([status, own.json().message]);
    expect(own.statusCode).toBe(status);
  });

  test('a plain object does not look like a success', async () => {
    const app = fastify();
    onTestFinished(() => app.close());
    app.addHook('onRequest', async () => {
      throw { statusCode: 401, message: 'no token' };
    });
    await app.register(routes, optionsFor(new FakeGenerator()));
    expect((await app.inject({ method: 'POST', url: '/generate', payload: { prompt: 'x' } })).statusCode).toBe(401);
  });
});
