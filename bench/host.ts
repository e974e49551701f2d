/**
 * What Weft itself costs, without a model: requests a second of 10 tokens each, as JSON and as streams, with a load client beside it.
 *
 *     npm run bench:host [-- SECONDS_PER_ROUND]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { closedLoop } from './load.ts';

const numClients = 50;
const maxNewTokens = 10;
const [seconds = '5'] = process.argv.slice(2);

const server = spawn('npx', ['tsx', fileURLToPath(new URL('null-server.ts', import.meta.url))], {
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
const [address] = await once(server.stdout, 'data');
const url = String(address).trim();
try {
  for (const stream of [false, true, false, true]) {
    const before = await numSteps();
    const result = await closedLoop({
      url,
      numClients,
      warmUpMs: 2000,
      measureMs: Number(seconds) * 1000,
      body: () => ({ prompt: 'Once upon a time', max_new_tokens: maxNewTokens, ignore_eos: true, stream }),
    });
    const stepMs = (1000 * (Number(seconds) + 2)) / ((await numSteps()) - before);
    console.log(
      `${stream ? 'streamed' : 'JSON    '} ${result.requestsPerSecond.toFixed(0).padStart(5)} requests/s, ${result.tokensPerSecond.toFixed(0)} tokens/s, a step every ${stepMs.toFixed(2)} ms, ${result.numErrors} errors`,
    );
  }
} finally {
  if (server.pid !== undefined) process.kill(-server.pid, 'SIGTERM');
}

async function numSteps(): Promise<number> {
  return ((await (await fetch(`${url}/health`)).json()) as { steps: number }).steps;
}
