import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { Racer } from '../../bench/race/contestants.ts';
import type { RacePlan } from '../../bench/race/plan.ts';
import { Race } from '../../bench/race/race.ts';
import { medianOf, type Results } from '../../bench/race/results.ts';
import { tableOf } from '../../bench/race/table.ts';
import { temporaryFolder } from '../support/fixtures.ts';
import { raceResults } from '../support/results.ts';

const plan: RacePlan = {
  model: 'none',
  rounds: 2,
  checkTimeoutMs: 5000,
  times: { warmUpMs: 20, measureMs: 1000 },
  mixedTimes: { warmUpMs: 20, measureMs: 1000 },
  curveTimes: { warmUpMs: 20, measureMs: 1000 },
  users: [1],
  scenarios: ['seed'],
};

/** A server whose tokens follow from the prompt, unless its behaviour says otherwise. */
const server = `
const [behaviour, port] = process.argv.slice(1);
if (behaviour === 'does not start') { console.error('no luck'); process.exit(3); }
let count = 0;
require('node:http').createServer((request, response) => {
  if (request.url === '/readyz') return response.end();
  let text = '';
  request.on('data', (chunk) => { text += chunk; }).on('end', () => {
    if (behaviour === 'hangs') return;
    count++;
    if (behaviour === 'crashes' && count > 15) { console.error('out of luck'); process.exit(3); }
    if (behaviour === 'falls silent' && count > 15) return;
    const { prompt, max_new_tokens: length } = JSON.parse(text);
    const last = prompt.at(-1) + (behaviour === 'is wrong' && prompt.length > 16 ? 1 : 0);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ token_ids: Array.from({ length }, (_, i) => last + i), timings: { queue_ms: 1 } }));
  });
}).listen(port, '127.0.0.1');
`;

function contestant(name: string, behaviour = 'is right'): Racer {
  return {
    isExact: !name.includes('int8'),
    isSlow: false,
    runsAll: true,
    isOnCurve: true,
    name,
    description: behaviour,
    readyPath: '/readyz',
    command: (port) => [process.execPath, '-e', server, behaviour, String(port)],
  };
}

async function race(contestants: readonly Racer[]): Promise<Results> {
  const results = { ...raceResults(), isComplete: false, contestants: [], runs: [] };
  const signal = new AbortController().signal;
  const reference = contestant('naive');
  await new Race({ plan, contestants, reference, results, signal, onProgress: () => {} }).run();
  return results;
}

test('contestants that crash, hang, are wrong or do not start are reported as such, and the other results stand', async () => {
  const results = await race([
    contestant('cold', 'does not start'),
    contestant('naive'),
    contestant('naive-engine', 'is wrong'),
    contestant('static', 'crashes'),
    contestant('fastapi', 'hangs'),
    contestant('continuous'),
    contestant('continuous-int8', 'is wrong'),
    contestant('continuous-int8-fast', 'falls silent'),
  ]);
  expect(results.isComplete).toBe(true);
  const problems = Object.fromEntries(results.contestants.map(({ name, problem }) => [name, problem]));
  expect(problems).toEqual({
    cold: expect.stringMatching(/^exited before it was ready: no luck/),
    naive: undefined,
    'naive-engine': expect.stringMatching(/^gives wrong tokens: \d+ of \d+ differ from naive$/),
    static: expect.stringMatching(/^exited during the run \(.*\): out of luck$/),
    fastapi: 'no data for 5000 ms',
    continuous: undefined,
    'continuous-int8': undefined,
    'continuous-int8-fast': undefined,
  });
  const table = tableOf(results);
  expect(table).toContain('**static**: crashes (exited during the run');
  expect(table).toMatch(
    /\*\*continuous-int8-fast\*\*: falls silent \(\d of 3 runs failed, seed: (stopped answering \d\.\d s before the end|no request was answered in time)\)/,
  );
  const rate = (name: string) => medianOf(results, { contestant: name, scenario: 'seed' }, (s) => s.requestsPerSecond);
  for (const name of ['naive', 'continuous', 'continuous-int8']) expect(rate(name)).toBeGreaterThan(0);
  for (const name of ['cold', 'naive-engine', 'static', 'fastapi']) expect(rate(name)).toBeUndefined();
  const int8 = results.contestants.find(({ name }) => name === 'continuous-int8')?.agreement;
  expect(int8?.numSame).toBeLessThan(int8?.numTokens ?? 0);
});

test('nothing is reported if continuous does not give the same tokens as naive', async () => {
  await expect(race([contestant('naive'), contestant('continuous', 'is wrong')])).rejects.toThrow(
    /^continuous gives wrong tokens: .*: there is nothing to report$/,
  );
});

/** The number of processes that have inherited an environment variable and can be inspected. */
function numProcessesWith(variable: string): number {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(variable);
    } catch {
      return false;
    }
  }).length;
}

test.skipIf(process.platform !== 'linux')('Ctrl-C keeps the finished rounds and leaves no process behind', async () => {
  const mark = `WEFT_TEST_MARK=${randomUUID()}`;
  const [variable = '', value = ''] = mark.split('=');
  const script = fileURLToPath(new URL('../../bench/race.ts', import.meta.url));
  const args = [
    '--import',
    'tsx',
    script,
    '--quick',
    '--only',
    'naive-engine,static,continuous',
    '--seconds',
    '0.3',
    '--output',
    await temporaryFolder(),
  ];
  const child = spawn(process.execPath, args, { env: { ...process.env, [variable]: value } });
  onTestFinished(() => void child.kill('SIGKILL'));
  let progress = '';
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  const closed = once(child, 'close');
  while (!progress.includes('[2/')) {
    const [chunk] = await Promise.race([once(child.stderr, 'data'), closed.then(() => [])]);
    expect(chunk, progress).toBeDefined();
    progress += chunk;
  }
  expect(numProcessesWith(mark)).toBeGreaterThan(0);
  child.kill('SIGINT');
  const [exitCode] = await closed;
  expect(exitCode).toBe(1);
  expect(numProcessesWith(mark)).toBe(0);
  const [file = ''] = /^\/.*race-.*\.json$/m.exec(printed) ?? [];
  const results: Results = JSON.parse(readFileSync(file, 'utf8'));
  expect(results.isComplete).toBe(false);
  expect(results.runs.length).toBeGreaterThanOrEqual(2);
  expect(printed).toContain('**naive-engine**');
});
