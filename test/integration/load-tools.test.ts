import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { readLocustStats, shapeOf } from '../../bench/k6/locust-csv.ts';
import { temporaryFolder } from '../support/fixtures.ts';
import { needTool } from '../support/tools.ts';
import { ServerProcess } from '../support/weft-process.ts';

const run = promisify(execFile);
const bench = fileURLToPath(new URL('../../bench/', import.meta.url));

async function start(): Promise<string> {
  const server = new ServerProcess(['--log-level', 'error']);
  onTestFinished(() => server.kill('SIGKILL'));
  return server.url;
}

const historyColumns = [
  ...['Timestamp', 'User Count', 'Type', 'Name', 'Requests/s', 'Failures/s', '50%', '66%', '75%', '80%', '90%', '95%'],
  ...['98%', '99%', '99.9%', '99.99%', '100%', 'Total Request Count', 'Total Failure Count'],
  ...['Total Median Response Time', 'Total Average Response Time', 'Total Min Response Time'],
  ...['Total Max Response Time', 'Total Average Content Size'],
];

function expectLocustFiles(prefix: string): void {
  const stats = readLocustStats(`${prefix}_stats.csv`);
  expect(stats.columns.slice(0, 5)).toEqual([
    ...['Type', 'Name', 'Request Count', 'Failure Count', 'Median Response Time'],
  ]);
  expect(stats.columns).toHaveLength(22);
  expect(stats.numFailures).toBe(0);
  expect(stats.numRequests).toBeGreaterThan(20);
  expect(stats.requestsPerSecond).toBeGreaterThan(1);
  expect(stats.p95).toBeGreaterThanOrEqual(stats.p50);
  const history = shapeOf(`${prefix}_stats_history.csv`);
  expect(history.columns).toEqual(historyColumns);
  expect(history.numRows).toBeGreaterThan(2);
  const failures = shapeOf(`${prefix}_failures.csv`);
  expect(failures).toEqual({
    columns: ['Method', 'Name', 'Error', 'Occurrences', 'First Seen', 'Last Seen'],
    numRows: 0,
  });
}

test('k6 runs the scenario and writes the same files as Locust', async (context) => {
  const k6 = needTool(context, 'k6');
  const prefix = path.join(await temporaryFolder(), 'k6');
  const env = { ...process.env, K6: k6, USERS: '20', SPAWN_RATE: '10', RUN_TIME: '4s', HOST: await start() };
  await run(process.execPath, ['--import', 'tsx', path.join(bench, 'k6/run.ts'), prefix], { env });
  expectLocustFiles(prefix);
});

test('k6 groups failures by error', async (context) => {
  const k6 = needTool(context, 'k6');
  const prefix = path.join(await temporaryFolder(), 'k6');
  const env = { ...process.env, K6: k6, USERS: '2', RUN_TIME: '1s', HOST: `${await start()}/nowhere` };
  await run(process.execPath, ['--import', 'tsx', path.join(bench, 'k6/run.ts'), prefix], { env, maxBuffer: 2 ** 26 });
  const stats = readLocustStats(`${prefix}_stats.csv`);
  expect(stats.numFailures).toBe(stats.numRequests);
  expect(shapeOf(`${prefix}_failures.csv`).numRows).toBe(1);
});

test('a missing k6 is reported with the command that installs it', async () => {
  const env = { ...process.env, K6: '/nowhere/k6' };
  await expect(run(process.execPath, ['--import', 'tsx', path.join(bench, 'k6/run.ts')], { env })).rejects.toThrow(
    /k6 was not found .* go install go\.k6\.io\/k6@/,
  );
});

test('Locust runs the same scenario', async (context) => {
  const locust = needTool(context, 'locust');
  const prefix = path.join(await temporaryFolder(), 'locust');
  await run(locust, [
    ...['-f', path.join(bench, 'locust/locustfile.py'), '--headless', '--host', await start()],
    ...['-u', '20', '-r', '10', '-t', '4s', '--csv', prefix, '--csv-full-history', '--only-summary'],
  ]);
  expectLocustFiles(prefix);
});
