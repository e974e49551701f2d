/**
 * Measures Weft's own overhead: its server with a model that takes no time. The load client shares the cores.
 *
 *     npm run bench:host [-- SECONDS]
 */
import { fileURLToPath } from 'node:url';
import { closedLoop, type Dialect, GenerateClient, summarize, weftDialect } from '../src/load/index.ts';
import { ServerProcess } from './race/server-process.ts';

const numClients = 50;
const warmUpMs = 2000;
const [seconds = '5'] = process.argv.slice(2);
const durationMs = warmUpMs + Number(seconds) * 1000;
const nullServer = fileURLToPath(new URL('contestants/null-server.ts', import.meta.url));

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const server = await ServerProcess.start({
  readyPath: '/readyz',
  command: (port) => [process.execPath, '--import', 'tsx', nullServer, String(port)],
});
try {
  for (const stream of [false, true, false, true]) await run(stream);
} finally {
  await server.stop();
}

async function run(stream: boolean): Promise<void> {
  const dialect: Dialect = { ...weftDialect, body: (request) => ({ ...weftDialect.body(request), stream }) };
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
    `${stream ? 'streamed' : 'JSON    '} ${requestsPerSecond.toFixed(0).padStart(5)} requests/s, ${tokensPerSecond.toFixed(0)} tokens/s, a step every ${stepMs.toFixed(2)} ms, ${numErrors} errors`,
  );
}

async function numSteps(): Promise<number> {
  const response = await fetch(`${server.url}/health`);
  return ((await response.json()) as { steps: number }).steps;
}
