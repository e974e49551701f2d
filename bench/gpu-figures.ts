/**
 * Compares the measurements of `bench/gpu.sh` with their targets. Exits with 1 if a target is missed.
 *
 *     node --import tsx bench/gpu-figures.ts FOLDER
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Results } from './race/results.ts';

/** Requests per second in the TitanML article, on an RTX 3060, and the factor to reach. */
const articleRate = 404;
const minTimes = 5;
/** Limit for a step of 50 rows, which should take about 2 ms. */
const maxStepMs = 2.5;
/** In fp16 on the CPU, all tokens agree. */
const minAgreement = 0.9;

const [folder = ''] = process.argv.slice(2);
const races = readdirSync(folder).filter((name) => /^race-.*\.json$/.test(name));
const raceFile = races.sort().at(-1);
if (raceFile === undefined) throw new Error(`${folder} has no race-*.json`);
const { runs, contestants }: Results = JSON.parse(readFileSync(path.join(folder, raceFile), 'utf8'));
const steps = readFileSync(path.join(folder, 'engine.md'), 'utf8');
const rate = bestRate('continuous');
const stepMs = Number(/\| decode 50 \| ([\d.]+) \|/.exec(steps)?.[1]);
const { numSame = 0, numTokens = 1 } = contestants.find(({ name }) => name === 'continuous')?.agreement ?? {};
const agreement = numSame / numTokens;
const figures = [
  {
    what: 'requests/s, prompts of 16 tokens, 10 new tokens',
    reached: rate,
    wanted: `at least ${minTimes * articleRate}`,
    holds: rate >= minTimes * articleRate,
  },
  { what: 'ms per step of 50 rows', reached: stepMs, wanted: `at most ${maxStepMs}`, holds: stepMs <= maxStepMs },
  {
    what: 'share of tokens equal to transformers.js',
    reached: agreement,
    wanted: `at least ${minAgreement}`,
    holds: agreement >= minAgreement,
  },
];
console.log(steps.trim().split('\n').at(-1));
for (const { what, reached, wanted, holds } of figures) {
  console.log(`${holds ? 'reached    ' : 'NOT REACHED'}  ${what}: ${reached.toFixed(2)}, ${wanted}`);
}
const single = bestRate('naive-engine');
if (single > 0) console.log(`continuous is ${(rate / single).toFixed(1)} times one request at a time`);
if (!figures.every(({ holds }) => holds)) process.exitCode = 1;

/** A contestant's best rate in `seed`, over all numbers of users. */
function bestRate(contestant: string): number {
  const own = runs.filter((run) => run.contestant === contestant && run.scenario === 'seed');
  return Math.max(0, ...own.map(({ summary }) => summary?.requestsPerSecond ?? 0));
}
