/**
 * Compares Weft with other servers, one after the other on this machine: requests and tokens per second, TTFT and ITL.
 *
 *     bench/peers/setup.sh FOLDER MODEL_FOLDER
 *     npm run bench:peers -- FOLDER MODEL_FOLDER [--seconds N] [--rounds N] [--only NAME,NAME]
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type LoadSummary, openAiDialect, percentile } from '../../src/load/index.ts';
import { weft } from '../race/contestants.ts';
import { type Contestant, measure, withServer } from '../race/measure.ts';
import { scenarios } from '../race/scenarios.ts';

const warmUpMs = 8000;
const threads = availableParallelism();
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});
const [home, modelFolder] = positionals.map((name) => path.resolve(name));
if (home === undefined || modelFolder === undefined) {
  console.error('usage: npm run bench:peers -- FOLDER MODEL_FOLDER (FOLDER: made by bench/peers/setup.sh)');
  process.exit(2);
}
const only = values.only?.split(',');
const contestants = peersOf(home, modelFolder).filter(({ name }) => only?.includes(name) ?? true);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const rows: { name: string; scenario: string; summary: LoadSummary }[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) await run(contestant);
}
print();

async function run(contestant: Contestant): Promise<void> {
  try {
    await withServer(contestant, undefined, async (server) => {
      for (const scenario of [scenarios.seed, scenarios.long]) {
        const options = { warmUpMs, measureMs: Number(values.seconds) * 1000 };
        const { summary } = await measure(server, contestant, scenario, options);
        rows.push({ name: contestant.name, scenario: scenario.name, summary });
        console.error(`${contestant.name}, ${scenario.name}: ${summary.requestsPerSecond.toFixed(1)} requests/s`);
      }
    });
  } catch (error) {
    console.error(`${contestant.name}: ${error}`);
  }
}

/** Prints the medians of the rounds. */
function print(): void {
  console.log('| server | load | requests/s | tokens/s | TTFT p50 / p95 (ms) | ITL p50 / p95 (ms) | errors |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const { name } of contestants) {
    for (const scenario of [scenarios.seed.name, scenarios.long.name]) {
      const summaries = rows.filter((row) => row.name === name && row.scenario === scenario).map((row) => row.summary);
      const median = (of: (summary: LoadSummary) => number) => percentile(summaries.map(of), 0.5).toFixed(0);
      const cells = [
        name,
        scenario,
        median((s) => s.requestsPerSecond),
        median((s) => s.tokensPerSecond),
        `${median((s) => s.ttft.p50)} / ${median((s) => s.ttft.p95)}`,
        `${median((s) => s.itl.p50)} / ${median((s) => s.itl.p95)}`,
        summaries.reduce((sum, { numErrors }) => sum + numErrors, 0),
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}

function peersOf(home: string, modelFolder: string): Contestant[] {
  const python = path.join(home, 'hf/bin/python');
  const server = fileURLToPath(new URL('static_server.py', import.meta.url));
  const batched = (name: string, description: string, args: readonly string[]): Contestant => ({
    name,
    description,
    readyPath: '/readyz',
    command: (port) => [python, server, '--port', String(port), '--threads', String(threads), ...args],
  });
  const ctranslate2 = (precision: string) =>
    batched(`ctranslate2-${precision}`, 'behind a static batcher', [
      ...['--engine', 'ctranslate2', '--tokenizer', modelFolder],
      ...['--model', path.join(home, `ctranslate2-${precision}`)],
    ]);
  return [
    weft({ name: 'weft-fp32', description: '' }, modelFolder),
    vllm('vllm-fp32', { home, modelFolder, dtype: 'float32', cores: `0-${threads - 1}` }),
    ctranslate2('float32'),
    batched('transformers', 'behind a static batcher', ['--engine', 'transformers', '--model', modelFolder]),
    weft({ name: 'weft-int8-fast', description: '' }, modelFolder, ['--precision', 'int8-fast']),
    vllm('vllm-bf16', { home, modelFolder, dtype: 'bfloat16', cores: `0-${threads - 1}` }),
    ctranslate2('int8'),
    weft({ name: 'weft-int8', description: '' }, modelFolder, ['--precision', 'int8']),
    vllm('vllm-fp32-as-started', { home, modelFolder, dtype: 'float32', cores: 'auto' }),
    vllm('vllm-bf16-as-started', { home, modelFolder, dtype: 'bfloat16', cores: 'auto' }),
  ];
}

/** @param cores for the model's threads; with `auto`, vLLM keeps one core free */
function vllm(
  name: string,
  { home, modelFolder, dtype, cores }: { home: string; modelFolder: string; dtype: string; cores: string },
): Contestant {
  return {
    name,
    description: `prefix cache off, cores ${cores}`,
    dialect: openAiDialect(modelFolder),
    readyPath: '/health',
    readyTimeoutMs: 240_000,
    environment: {
      VLLM_CPU_KVCACHE_SPACE: '2',
      VLLM_CPU_OMP_THREADS_BIND: cores,
      VLLM_NO_USAGE_STATS: '1',
      VLLM_LOGGING_LEVEL: 'WARNING',
      HF_HUB_OFFLINE: '1',
      LD_PRELOAD: readFileSync(path.join(home, 'vllm/preload'), 'utf8').trim(),
    },
    command: (port) => [
      path.join(home, 'vllm/bin/vllm'),
      'serve',
      modelFolder,
      ...['--dtype', dtype, '--max-num-seqs', '50', '--max-model-len', '512'],
      ...['--host', '127.0.0.1', '--port', String(port)],
      ...['--no-enable-prefix-caching', '--disable-uvicorn-access-log'],
    ],
  };
}
