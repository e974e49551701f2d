/**
 * Runs the k6 scenario and writes Locust's CSV files in addition to k6's own summary.
 *
 *     USERS=40 SPAWN_RATE=40 RUN_TIME=20s HOST=http://127.0.0.1:8080 npm run bench:k6 [-- PREFIX]
 *
 * PREFIX: start of the file names, bench/results/k6 by default.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readLocustStats, readTimeSeries, writeLocustFiles } from './locust-csv.ts';

const install = 'go install go.k6.io/k6@v1.8.1, or https://grafana.com/docs/k6/latest/set-up/install-k6/';
const k6 = process.env.K6 ?? 'k6';
if (spawnSync(k6, ['version']).status !== 0) {
  console.error(`k6 was not found (set K6 to its path, or install it: ${install})`);
  process.exit(1);
}
const [prefix = fileURLToPath(new URL('../results/k6', import.meta.url))] = process.argv.slice(2);
mkdirSync(path.dirname(prefix), { recursive: true });
const series = `${prefix}_series.csv`;
const script = fileURLToPath(new URL('generate.js', import.meta.url));
const settings = ['USERS', 'SPAWN_RATE', 'RUN_TIME', 'HOST'].flatMap((name) =>
  process.env[name] === undefined ? [] : ['-e', `${name}=${process.env[name]}`],
);
const { status } = spawnSync(
  k6,
  ['run', '--out', `csv=${series}`, '--summary-export', `${prefix}_summary.json`, ...settings, script],
  { stdio: 'inherit', env: { ...process.env, K6_CSV_TIME_FORMAT: 'unix_milli', K6_NO_USAGE_REPORT: 'true' } },
);
if (status !== 0) process.exit(status ?? 1);
writeLocustFiles(prefix, readTimeSeries(series));
rmSync(series);
const { numRequests, numFailures, requestsPerSecond, p50, p95 } = readLocustStats(`${prefix}_stats.csv`);
console.log(
  `${numRequests} requests, ${numFailures} failed, ${requestsPerSecond.toFixed(1)} a second, p50 ${p50} ms, p95 ${p95} ms`,
);
console.log(`${prefix}_stats.csv, _stats_history.csv, _failures.csv, _summary.json`);
