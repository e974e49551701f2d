/**
 * Measures Weft's own overhead: its server with a model that takes no time. The load client shares the cores.
 * The dialects take turns, since the machine may change its speed.
 *
 *     npm run bench:host [-- SECONDS]
 */
import { fileURLToPath } from 'node:url';
import {
  closedLoop,
  type Dialect,
  GenerateClient,
  openAiDialect,
  percentile,
  summarize,
  weftDialect,
} from '../src/load/index.ts';
import { ServerProcess } from './race/server-process.ts';

const numClients = 50;
const numRounds = 3;
const warmUpMs = 2000;
const [seconds = '5'] = process.argv.slice(2);
const durationMs = warmUpMs + Number(seconds) * 1000;
const nullServer = fileURLToPath(new URL('contestants/null-server.ts', import.meta.url));

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const server = await ServerProcess.start({
  readyPath: '/readyz',
  command: (port) => [process.execPath, '--import', 'tsx', nullServer, String(port)],
});
const dialects: Readonly<Record<string, Dialect>> = {
  JSON: { ...weftDialect, body: (request) => ({ ...weftDialect.body(request), stream: false }) },
  streamed: weftDialect,
  // Without a usage chunk, both dialects send one message per token and one at the end.
  'streamed as OpenAI': openAiDialect('tgi', { stream_options: undefined }),
};

try {
  const rates: Record<string, number[]> = {};
  for (let round = 0; round < numRounds; round++) {
    for (const [name, dialect] of Object.entries(dialects)) {
      rates[name] = [...(rates[name] ?? []), await run(name, dialect)];
    }
  }
  const median = (name: string) => percentile(rates[name] ?? [], 0.5);
  const share = median('streamed as OpenAI') / median('streamed');
  console.log(`/v1/completions serves ${(100 * share).toFixed(1)} % of the requests that /generate serves`);
} finally {
  await server.stop();
}

/** @returns requests per second */
async function run(name: string, dialect: Dialect): Promise<number> {
  const client = new GenerateClient({ url: server.url, dialect });
  const before = await numSteps();
  const startedAt = performance.now();
  const request = () => ({ prompt: 'Once upon a time', maxNewTokens: 10 });
  const traces = await closedLoop({ client, durationMs, request }, numClients);
  const stepMs = (performance.now() - startedAt) / ((await numSteps()) - before);
  client.close();
  const window = { fromMs: startedAt + warmUpMs, toMs: startedAt + durationMs };
  const { requestsPerSecond, tokensPerSecond, numErrors } = summarize(traces, window);
  console.log(
    `${name.padEnd(18)} ${requestsPerSecond.toFixed(0).padStart(5)} requests/s, ${tokensPerSecond.toFixed(0)} tokens/s, a step every ${stepMs.toFixed(2)} ms, ${numErrors} errors`,
  );
  return requestsPerSecond;
}

async function numSteps(): Promise<number> {
  const response = await fetch(`${server.url}/health`);
  return ((await response.json()) as { steps: number }).steps;
}
