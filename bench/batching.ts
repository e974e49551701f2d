/**
 * What continuous batching buys, in one run: the same engine with and without it, 40 closed-loop clients, 10 new tokens each.
 * Rounds alternate between fresh servers, so that a machine that drifts drifts under both.
 *
 *     npm run bench:batching [-- SECONDS_PER_ROUND [MODEL_DIR]]
 */
import { closedLoop, type LoadResult, percentile } from './load.ts';
import { ServerProcess } from './weft-process.ts';

const numClients = 40;
const maxNewTokens = 10;
const numRounds = 3;
const warmUpMs = 1000;
const [seconds = '5', ...model] = process.argv.slice(2);

const contestants = [
  { name: 'one at a time', args: ['--max-batch-size', '1'] },
  { name: 'continuous', args: [] },
] as const;

const prompts = [
  'Once upon a time',
  'The little dog ran to',
  'One day, Lily found a big red',
  'Tom and his mom went to the park. They',
];

async function round(args: readonly string[]): Promise<LoadResult> {
  const server = new ServerProcess([...model, ...args]);
  try {
    return await closedLoop({
      url: await server.url,
      numClients,
      warmUpMs,
      measureMs: Number(seconds) * 1000,
      body: (client, n) => ({
        prompt: prompts[(client + n) % prompts.length],
        max_new_tokens: maxNewTokens,
        ignore_eos: true,
      }),
    });
  } finally {
    await server.stop();
  }
}

const results = new Map<string, LoadResult[]>(contestants.map(({ name }) => [name, []]));
for (let i = 0; i < numRounds; i++) {
  for (const { name, args } of i % 2 === 0 ? contestants : contestants.toReversed()) {
    const result = await round(args);
    results.get(name)?.push(result);
    const { requestsPerSecond, tokensPerSecond, numErrors, latenciesMs } = result;
    console.log(
      `round ${i + 1}  ${name.padEnd(14)} ${requestsPerSecond.toFixed(0).padStart(5)} requests/s ${tokensPerSecond.toFixed(0).padStart(6)} tokens/s` +
        `  p50 ${percentile(latenciesMs, 0.5).toFixed(0)} ms  p95 ${percentile(latenciesMs, 0.95).toFixed(0)} ms  ${numErrors} errors`,
    );
  }
}

const medians = [...results].map(([name, rounds]) => {
  const ascending = rounds.map(({ requestsPerSecond }) => requestsPerSecond).sort((a, b) => a - b);
  return { name, median: percentile(ascending, 0.5) };
});
const [single, continuous] = medians;
console.log(`\n${numClients} clients, ${maxNewTokens} new tokens, median of ${numRounds} rounds:`);
for (const { name, median } of medians) console.log(`  ${name.padEnd(14)} ${median.toFixed(0)} requests/s`);
console.log(`  ratio          ${((continuous?.median ?? 0) / (single?.median ?? 1)).toFixed(2)}`);
