/**
 * The race: Weft against servers without continuous batching.
 *
 *     npm run bench [-- --quick] [--model NAME] [--rounds N] [--seconds N] [--only NAME,NAME] [--peers FOLDER]
 *                   [--device DEVICE] [--output FOLDER] [--update-readme]
 *
 * Ctrl-C stops all servers and reports the finished runs. Results go to bench/results.
 */
import { parseArgs } from 'node:util';
import { fastApiControl, type ModelFolders, maxBatchSize, racersOf, racersOn, reference } from './race/contestants.ts';
import { withModel } from './race/models.ts';
import { fullPlan, quickPlan } from './race/plan.ts';
import { Race } from './race/race.ts';
import { updateReadme } from './race/readme.ts';
import { renderReport } from './race/report.ts';
import { describeCommit, describeMachine, describeVersions, type Results, writeResult } from './race/results.ts';
import { scenarios } from './race/scenarios.ts';
import { killServers } from './race/server-process.ts';
import { provenanceOf, tableOf } from './race/table.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    model: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string' },
    peers: { type: 'string' },
    device: { type: 'string', default: 'cpu' },
    output: { type: 'string' },
    'update-readme': { type: 'boolean', default: false },
  },
});
if (values['update-readme'] && (values.only !== undefined || values.device !== 'cpu')) {
  fail('--update-readme needs a complete race on the CPU: omit --only and --device');
}
if (values.peers !== undefined && values.device !== 'cpu') fail('--peers run on the CPU: omit --device');
const base = values.quick ? quickPlan : fullPlan;
const measureMs = values.seconds === undefined ? undefined : positive('--seconds', values.seconds) * 1000;
const plan = {
  ...base,
  model: values.model ?? base.model,
  rounds: values.rounds === undefined ? base.rounds : Math.ceil(positive('--rounds', values.rounds)),
  times: { ...base.times, ...(measureMs && { measureMs }) },
  mixedTimes: { ...base.mixedTimes, ...(measureMs && { measureMs }) },
  curveTimes: { ...base.curveTimes, ...(measureMs && { measureMs }) },
};
const abort = new AbortController();
const startedAt = new Date().toISOString();
const results: Results = {
  startedAt,
  isComplete: false,
  command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
  model: plan.model,
  machine: describeMachine(),
  commit: describeCommit(),
  versions: describeVersions(),
  maxBatchSize,
  scenarios: Object.fromEntries(plan.scenarios.map((name) => [name, scenarios[name].description])),
  contestants: [],
  runs: [],
};
const startMs = performance.now();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    killServers();
    abort.abort(new Error('the race was interrupted'));
  });
}

try {
  // On a device there is only one graph; the first server to start builds it.
  const precisions = values.device === 'cpu' ? ['fp32', 'int8', 'int8-fast'] : [];
  await withModel({ name: plan.model, precisions }, onProgress, async (folders) => {
    const all = racers(folders);
    const names = all.map(({ name }) => name);
    const only = values.only?.split(',') ?? names;
    const unknown = only.find((name) => !names.includes(name));
    if (unknown !== undefined)
      throw new Error(`--only names ${unknown}, which does not exist: choose from ${names.join(', ')}`);
    const first = all.find(({ name }) => name === reference);
    if (first === undefined) throw new Error(`${reference} is missing`);
    const contestants = all.filter(({ name }) => only.includes(name));
    await new Race({ plan, contestants, reference: first, results, signal: abort.signal, onProgress }).run();
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
report();

function racers(folders: ModelFolders) {
  if (values.device !== 'cpu') return racersOn(values.device, folders);
  return [...racersOf(folders), ...(values.peers ? [fastApiControl(values.peers, folders.folder)] : [])];
}

function onProgress(line: string): void {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0).padStart(4);
  console.error(`${seconds} s  ${line}`);
  writeData();
}

function writeData(): string {
  const name = `race-${startedAt.replaceAll(/[:.]/g, '-')}.json`;
  return writeResult(name, JSON.stringify(results, undefined, 1), values.output);
}

function report(): void {
  if (results.runs.length === 0) return;
  const page = writeResult('report.html', renderReport(results), values.output);
  const table = `${tableOf(results)}\n\n${provenanceOf(results)}`;
  console.log(`\n${table}\n\n${writeData()}\n${page}`);
  if (values['update-readme'] && results.isComplete) updateReadme(table);
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  return value > 0 ? value : fail(`${flag} is ${text}; it must be a number above 0`);
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
