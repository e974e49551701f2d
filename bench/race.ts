/**
 * The race: what continuous batching buys, beside servers that go without.
 *
 *     npm run bench [-- --quick] [--model NAME] [--rounds N] [--seconds N] [--only NAME,NAME] [--peers FOLDER] [--update-readme]
 *
 * Ctrl-C ends all servers and reports what is finished; the results lie in bench/results.
 */
import { parseArgs } from 'node:util';
import { contestantsOf, fastApiControl } from './race/contestants.ts';
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
    'update-readme': { type: 'boolean', default: false },
  },
});
const base = values.quick ? quickPlan : fullPlan;
const plan = {
  ...base,
  model: values.model ?? base.model,
  rounds: Number(values.rounds ?? base.rounds),
  ...(values.seconds && timesOf(Number(values.seconds) * 1000)),
};
const abort = new AbortController();
const results: Results = {
  startedAt: new Date().toISOString(),
  isComplete: false,
  command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
  model: plan.model,
  machine: describeMachine(),
  commit: describeCommit(),
  versions: describeVersions(),
  maxBatchSize: 50,
  scenarios: Object.fromEntries(plan.scenarios.map((name) => [name, scenarios[name].description])),
  contestants: [],
  runs: [],
};
const startedAt = performance.now();
const name = `race-${results.startedAt.replaceAll(/[:.]/g, '-')}.json`;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    killServers();
    abort.abort(new Error('the race was ended from outside'));
  });
}

try {
  await withModel(plan.model, async (folders) => {
    const all = [...contestantsOf(folders), ...(values.peers ? [fastApiControl(values.peers, folders.folder)] : [])];
    const only = values.only?.split(',');
    const contestants = all.filter((contestant) => only?.includes(contestant.name) ?? true);
    await new Race({ plan, contestants, results, signal: abort.signal, onProgress }).run();
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
report();

/** The same for all. */
function timesOf(measureMs: number) {
  const times = { ...base.times, measureMs };
  return { times, mixedTimes: times };
}

function onProgress(line: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0).padStart(4);
  console.error(`${seconds} s  ${line}`);
  writeResult(name, JSON.stringify(results, undefined, 1));
}

function report(): void {
  if (results.runs.length === 0) return;
  const data = writeResult(name, JSON.stringify(results, undefined, 1));
  const page = writeResult('report.html', renderReport(results));
  const table = tableOf(results);
  console.log(`\n${table}\n\n${provenanceOf(results)}\n\n${data}\n${page}`);
  if (values['update-readme'] && results.isComplete) updateReadme(`${table}\n\n${provenanceOf(results)}`);
}
