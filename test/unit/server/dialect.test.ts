import { fastifySSE } from '@fastify/sse';
import { fastify } from 'fastify';
import Type from 'typebox';
import { expect, onTestFinished, test } from 'vitest';
import { EngineError, type GenerationEvent, requestDefaults } from '../../../src/core/index.ts';
import { addGenerateRoutes } from '../../../src/server/add-generate-route.ts';
import type { GenerateRoute } from '../../../src/server/dialect.ts';
import { FakeGenerator, finished, tokenEvent } from '../../support/fake-generator.ts';
import { fakeModel } from '../../support/served-model.ts';

const body = Type.Object({ say: Type.String(), live: Type.Optional(Type.Boolean()) });

/** A dialect with other fields, chunks without event names, a chunk with totals, and an end marker. */
const shouting: GenerateRoute<typeof body> = {
  url: '/shout',
  schema: { body },
  dialect: 'Shouting',
  toRequest: ({ say }) => ({
    ...requestDefaults,
    id: 'a',
    prompts: [say],
  }),
  isStream: ({ live }) => live,
  errors: ({ status, message }) => ({ status, body: { oops: message } }),
  createReply: ({ model }) => {
    let held = '';
    return {
      messagesOf: (event) => {
        if (event.type === 'error') return [{ data: { oops: event.error.message } }, '[DONE]'];
        if (event.type === 'finished')
          return [{ data: { shout: held, by: model.name } }, { data: event.usage }, '[DONE]'];
        if (event.type === 'prompt') return [];
        const shout = held;
        held = event.text.toUpperCase();
        return shout === '' ? [] : [{ data: { shout } }];
      },
      bodyOf: ({ choices }) => ({
        shout: choices.flatMap(({ tokens }) => tokens.map(({ text }) => text.toUpperCase())).join(''),
      }),
    };
  },
};

async function start(events: readonly GenerationEvent[]) {
  const app = fastify();
  onTestFinished(() => app.close());
  const generator = new FakeGenerator();
  generator.events = events;
  await app.register(fastifySSE, { heartbeatInterval: 0 });
  addGenerateRoutes(app, [shouting], {
    generator,
    model: fakeModel({ name: 'm' }),
    version: '1.2.3',
    maxBodyBytes: 1024,
    sseHeartbeatMs: 1000,
  });
  const post = (payload: object) => app.inject({ method: 'POST', url: '/shout', payload });
  return { post, generator };
}

const words = [tokenEvent('ab'), tokenEvent('c')];

test('a dialect maps each event to any number of messages', async () => {
  const { post, generator } = await start([...words, finished]);
  const streamed = await post({ say: 'hi', live: true });
  expect(generator.requests[0]?.prompts).toEqual(['hi']);
  expect(streamed.body.split('\n\n')).toEqual([
    'data: {"shout":"AB"}',
    'data: {"shout":"C","by":"m"}',
    'data: {"promptTokens":3,"completionTokens":2}',
    'data: [DONE]',
    '',
  ]);
  expect((await post({ say: 'hi' })).json()).toEqual({ shout: 'ABC' });
});

test('a dialect words the error that ends a stream', async () => {
  const { post } = await start([...words, { type: 'error', error: new EngineError('out of memory') }]);
  const streamed = await post({ say: 'hi', live: true });
  expect(streamed.body).toBe('data: {"shout":"AB"}\n\ndata: {"oops":"out of memory"}\n\ndata: [DONE]\n\n');
});

test('a dialect words the errors of its route', async () => {
  const { post } = await start([...words, { type: 'error', error: new EngineError('out of memory') }]);
  const failed = await post({ say: 'hi' });
  expect([failed.statusCode, failed.json()]).toEqual([500, { oops: 'out of memory' }]);
});
