import { fastifySSE } from '@fastify/sse';
import { fastify } from 'fastify';
import type { GenerationEvent, ServedModel, TextCodec } from '../../src/core/index.ts';
import { addGenerateRoutes } from '../../src/server/add-generate-route.ts';
import { useJsonBodies } from '../../src/server/body-parser.ts';
import type { GenerateRoute } from '../../src/server/dialect.ts';
import { FakeGenerator } from './fake-generator.ts';
import { fakeModel } from './served-model.ts';

/** Routes of dialects in front of a fake generator. They open no socket, so there is nothing to close. */
export async function startRoutes(
  routes: readonly GenerateRoute[],
  { events, model = {} }: { readonly events?: readonly GenerationEvent[]; readonly model?: Partial<ServedModel> } = {},
) {
  const app = fastify();
  const generator = new FakeGenerator();
  if (events !== undefined) generator.events = events;
  useJsonBodies(app);
  app.setSerializerCompiler(() => JSON.stringify);
  await app.register(fastifySSE, { heartbeatInterval: 0 });
  addGenerateRoutes(app, routes, {
    generator,
    model: fakeModel(model),
    version: '1.2.3',
    maxBodyBytes: 65_536,
    sseHeartbeatMs: 1000,
  });
  const post = (url: string, payload: unknown) =>
    app.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json' },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    });
  return { generator, post };
}

/** The data of the events of a stream. */
export function dataOf(stream: string): Record<string, unknown>[] {
  return eventsOf(stream).map(([, data]) => data);
}

/** Names and data of the events of a stream. */
export function eventsOf(stream: string): (readonly [name: string | undefined, data: Record<string, unknown>])[] {
  return stream
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      const [, name, data = ''] = /^(?:event: (.*)\n)?data: (.*)$/s.exec(event) ?? [];
      return [name, JSON.parse(data)] as const;
    });
}

/** A codec of the tokens in a list. Token 0 is the special token `</s>`. */
export function codecOf(tokens: readonly (string | Uint8Array)[]): TextCodec {
  const bytes = ['</s>', ...tokens].map((token) => (typeof token === 'string' ? Buffer.from(token) : token));
  const bytesOf = (id: number) => bytes[id] ?? new Uint8Array();
  const isSpecial = (id: number) => id === 0;
  return {
    encode: async () => [],
    decode: (ids) => Buffer.concat(ids.map(bytesOf)).toString(),
    bytesOf,
    isSpecial,
    spellingOf: (id) => Buffer.from(bytesOf(id)).toString(),
  };
}
