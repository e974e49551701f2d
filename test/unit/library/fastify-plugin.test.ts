import { fastify } from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { UserError } from '../../../src/core/index.ts';
import { type WeftRoutesOptions, weftRoutes } from '../../../src/library/index.ts';
import { FakeGenerator } from '../../support/fake-generator.ts';
import { fakeModel } from '../../support/served-model.ts';

function application() {
  const app = fastify();
  onTestFinished(() => app.close());
  return app;
}

test.each<[string, WeftRoutesOptions]>([
  ['a loaded model', { model: { served: fakeModel({ name: 'a' }), generator: new FakeGenerator() } }],
  ['a generator of your own', { modelName: 'a', generator: new FakeGenerator() }],
])('%s is served under a prefix', async (_, options) => {
  const app = application();
  await app.register(weftRoutes, { ...options, prefix: '/llm' });
  expect((await app.inject('/llm/health')).json().model).toBe('a');
  const response = await app.inject({ method: 'POST', url: '/llm/generate', payload: { prompt: 'Hi' } });
  expect(response.json()).toMatchObject({ model: 'a', text: 'Hello' });
});

test('bodies are limited as in a server of their own, unless there is an option', async () => {
  const app = application();
  const served = { modelName: 'a', generator: new FakeGenerator() };
  await app.register(weftRoutes, { ...served, prefix: '/default' });
  await app.register(weftRoutes, { ...served, prefix: '/small', maxBodyBytes: 1024 });
  const post = (url: string) => app.inject({ method: 'POST', url, payload: { prompt: 'x'.repeat(2000) } });
  expect((await post('/default/generate')).statusCode).toBe(200);
  expect((await post('/small/generate')).statusCode).toBe(413);
});

test('an option that is not valid is a typed error', async () => {
  const app = application();
  const options = { modelName: 'a', generator: new FakeGenerator(), maxBodyBytes: 1 };
  await expect(async () => await app.register(weftRoutes, options)).rejects.toThrow(UserError);
});

test.each([{}, { model: undefined }, { model: {} }, { generator: new FakeGenerator() }, { modelName: 'a' }])(
  'options without anything to serve are a typed error: %j',
  async (options) => {
    const app = application();
    // @ts-expect-error: what JavaScript can pass
    await expect(async () => await app.register(weftRoutes, options)).rejects.toThrow(
      new UserError('weftRoutes needs a model that loadModel has loaded, or a generator and a modelName'),
    );
  },
);
