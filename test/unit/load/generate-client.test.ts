import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { GenerateClient, openAiDialect } from '../../../src/load/index.ts';

/** A server with scripted answers, and a client of it. */
async function client(
  answer: (response: ServerResponse, body: Record<string, unknown>) => unknown,
  options: Partial<ConstructorParameters<typeof GenerateClient>[0]> = {},
): Promise<GenerateClient> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    await answer(response, JSON.parse(Buffer.concat(chunks).toString()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const target = new GenerateClient({ url: `http://127.0.0.1:${port}`, ...options });
  onTestFinished(() => {
    target.close();
    server.closeAllConnections();
    server.close();
  });
  return target;
}

const eventStream = { 'content-type': 'text/event-stream' };
const token = (index: number) => `event: token\ndata: {"index":${index},"token_id":${index + 10},"text":"x"}\n\n`;
const done = 'event: done\ndata: {"timings":{"queue_ms":1.5}}\n\n';
const request = { prompt: [2, 5], maxNewTokens: 2 };

test('a stream is read token by token, however it is split into chunks', async () => {
  const bodies: unknown[] = [];
  const target = await client(async (response, body) => {
    bodies.push(body);
    response.writeHead(200, eventStream);
    const text = token(0) + token(1) + done;
    for (const piece of [text.slice(0, 20), text.slice(20, 75), text.slice(75)]) {
      response.write(piece);
      await new Promise(setImmediate);
    }
    response.end();
  });
  const trace = await target.send(request);
  expect(bodies).toEqual([{ prompt: [2, 5], max_new_tokens: 2, ignore_eos: true, stream: true }]);
  expect(trace).toMatchObject({ tokenIds: [10, 11], timings: { queue_ms: 1.5 }, error: undefined });
  const [first = 0, second = 0] = trace.tokenAtMs;
  expect([trace.sentAtMs, first, second, trace.endedAtMs]).toEqual(
    [trace.sentAtMs, first, second, trace.endedAtMs].sort((a, b) => a - b),
  );
});

test('without streaming, all tokens arrive at the end', async () => {
  const target = await client((response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"token_ids":[4,5],"timings":{"total_ms":3}}');
  });
  const trace = await target.send(request);
  expect(trace).toMatchObject({ tokenIds: [4, 5], timings: { total_ms: 3 }, error: undefined });
});

/** A chunk of `POST /v1/completions`. */
const chunk = (fields: object) => `data: ${JSON.stringify({ choices: [], usage: null, ...fields })}\n\n`;
const textChunk = (id: number) => chunk({ choices: [{ index: 0, text: '', token_ids: [id] }] });
const usageChunk = (numTokens: number) => chunk({ usage: { completion_tokens: numTokens } });

/** A client of a server that sends this stream in OpenAI's dialect. */
async function openAiClient(stream: string, bodies: unknown[] = []): Promise<GenerateClient> {
  const dialect = openAiDialect('m', { return_token_ids: true });
  return client(
    (response, body) => {
      bodies.push(body);
      response.writeHead(200, eventStream).end(stream);
    },
    { dialect },
  );
}

test("a stream in OpenAI's dialect has one chunk per token, then the usage", async () => {
  const bodies: unknown[] = [];
  const target = await openAiClient(`${textChunk(7)}${textChunk(8)}${usageChunk(2)}data: [DONE]\n\n`, bodies);
  const trace = await target.send(request);
  expect(trace).toMatchObject({ tokenIds: [7, 8], isStreamed: true, error: undefined });
  expect(trace.tokenAtMs).toHaveLength(2);
  expect(bodies).toEqual([
    {
      model: 'm',
      prompt: [2, 5],
      max_tokens: 2,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
      return_token_ids: true,
    },
  ]);
});

test.each([
  ['several tokens in a chunk', textChunk(7) + usageChunk(2), 'got 2 tokens in 1 events'],
  ['an error', `${textChunk(7)}data: {"error":{"message":"cut"}}\n\n`, 'cut'],
])("in OpenAI's dialect, %s is an error", async (_, stream, error) => {
  const target = await openAiClient(`${stream}data: [DONE]\n\n`);
  expect((await target.send(request)).error).toBe(error);
});

test.each<[what: string, answer: (response: ServerResponse) => unknown, error: string]>([
  [
    'a refusal',
    (r) => r.writeHead(429).end('{"error":{"message":"full"}}'),
    'status 429: {"error":{"message":"full"}}',
  ],
  [
    'an error event',
    (r) => r.writeHead(200, eventStream).end('event: error\ndata: {"error":{"message":"cut"}}\n\n'),
    'cut',
  ],
  ['an end before the end', (r) => r.writeHead(200, eventStream).end(token(0)), 'the answer is incomplete'],
  ['too few tokens', (r) => r.writeHead(200, eventStream).end(token(0) + done), 'got 1 tokens instead of 2'],
  ['garbage', (r) => r.writeHead(200, eventStream).end('event: token\ndata: nonsense\n\n'), 'nonsense'],
  ['a page', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), '<html>'],
  ['a broken connection', (r) => r.destroy(), 'socket hang up'],
])('%s is an error', async (_, answer, error) => {
  const target = await client(answer);
  expect((await target.send(request)).error).toContain(error);
});

test('a server that is silent for too long is an error, and so is an aborted request', async () => {
  const silent = await client(() => {}, { timeoutMs: 30 });
  expect((await silent.send(request)).error).toBe('no data for 30 ms');
  const abort = new AbortController();
  const cut = await client(() => abort.abort(), { signal: abort.signal });
  expect((await cut.send(request)).error).toContain('aborted');
});
