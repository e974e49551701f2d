import { fastifySSE } from '@fastify/sse';
import { fastify } from 'fastify';
import Type, { type TObject } from 'typebox';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requestDefaults } from '../../../src/core/index.ts';
import { addGenerateRoutes } from '../../../src/server/add-generate-route.ts';
import type { GenerateRoute } from '../../../src/server/dialect.ts';
import { FakeGenerator } from '../../support/fake-generator.ts';
import { fakeModel } from '../../support/served-model.ts';

/** A dialect whose prompt and answer are called as its marker. */
function dialect(marker: string, rest: TObject['properties'] = {}): GenerateRoute {
  return {
    url: '/generate',
    dialect: `the API of ${marker}`,
    marker,
    schema: {
      summary: marker,
      description: 'generates',
      body: Type.Object({ [marker]: Type.String(), ...rest }, { additionalProperties: false }),
      response: {
        200: Type.Object({ [marker]: Type.String() }),
        '4xx': Type.Object({ [`no ${marker}`]: Type.String() }),
      },
    },
    toRequest: (body) => ({ ...requestDefaults, id: '', prompts: [String(body[marker])] }),
    isStream: () => false,
    errors: ({ status, message }) => ({ status, body: { [`no ${marker}`]: message } }),
    createReply: () => ({ messagesOf: () => [], bodyOf: () => ({ [marker]: 'done' }) }),
  };
}

async function start() {
  const app = fastify();
  onTestFinished(() => app.close());
  await app.register(fastifySSE, { heartbeatInterval: 0 });
  const generator = new FakeGenerator();
  const nested = Type.Object({ deep: Type.Optional(Type.Integer()) });
  addGenerateRoutes(app, [dialect('say'), dialect('ask', { options: Type.Optional(nested) })], {
    generator,
    model: fakeModel({ name: 'm' }),
    version: '1.2.3',
    maxBodyBytes: 1024,
    sseHeartbeatMs: 1000,
  });
  const post = async (payload: object) => (await app.inject({ method: 'POST', url: '/generate', payload })).json();
  return { post, generator };
}

describe('dialects at the same URL', () => {
  test('are told apart by a field of the body', async () => {
    const { post, generator } = await start();
    expect(await post({ say: 'a' })).toEqual({ say: 'done' });
    expect(await post({ ask: 'b' })).toEqual({ ask: 'done' });
    expect(generator.requests.map(({ prompts }) => prompts)).toEqual([['a'], ['b']]);
  });

  test('report their own errors', async () => {
    const { post, generator } = await start();
    expect(await post({ ask: 5 })).toEqual({ 'no ask': 'ask is 5; it must be a string' });
    expect(await post({ say: 'a', options: {} })).toEqual({ 'no say': 'unknown field "options"; the fields are say' });
    generator.refusal = new Error('a secret');
    expect(await post({ ask: 'b' })).toEqual({ 'no ask': 'an internal error occurred' });
  });

  test('refuse a body for none of them, or for both, in the format of the first', async () => {
    const { post } = await start();
    const refusal = {
      'no say': 'the body must have exactly one of the fields say (the API of say) or ask (the API of ask)',
    };
    expect(await post([])).toEqual({ 'no say': 'the body is []; it must be a JSON object' });
    for (const body of [{}, { say: 'a', ask: 'b' }, { options: {} }]) expect(await post(body)).toEqual(refusal);
  });

  test('take null for absent, in nested objects too', async () => {
    const { post } = await start();
    expect(await post({ ask: 'b', options: { deep: null } })).toEqual({ ask: 'done' });
    expect(await post({ ask: 'b', say: null, options: null })).toEqual({ ask: 'done' });
    expect(await post({ ask: 'b', options: { deep: 'x' } })).toEqual({
      'no ask': 'options.deep is "x"; it must be an integer',
    });
  });
});
