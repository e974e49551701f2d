import { writeFile } from 'node:fs/promises';
import { capacityKeys, flagOf, loadCommand, type SettingKey, type Settings } from '../config/index.ts';
import { messageOf, UserError } from '../core/index.ts';
import {
  brokenConditions,
  type Capacity,
  type CapacityReport,
  type Condition,
  type Experience,
  experienceOf,
  findCapacity,
  GenerateClient,
  instancesFor,
  type LoadRequest,
  openLoop,
  parseSlo,
  poissonArrivals,
  safeShare,
  seededRandom,
  type Trial,
} from '../load/index.ts';
import { ChildServer } from './child-server.ts';
import { expectOperands } from './operands.ts';
import { embeddedModelFolder } from './package-info.ts';

/** Settings that are handed on to the server. */
const passedKeys = [
  'revision',
  'device',
  'precision',
  'maxBatchSize',
  'batchTimeoutMs',
  'maxModelLen',
  'maxStepTokens',
  'maxQueueSize',
  'maxBodyBytes',
  'threads',
  'spinning',
  'cacheDir',
] as const satisfies readonly SettingKey[];

const startRate = 5;
const headroom = 0.2;
const warmUpMs = 1000;

/** What is not answered so long after the last request counts as lost: later than any limit allows. */
function graceMsOf(slo: readonly Condition[]): number {
  return Math.max(3000, ...slo.map((condition) => ('limitMs' in condition ? 1.2 * condition.limitMs : 0)));
}

/** Rates at which batching is compared with going without. */
const comparedRates = [50, 100, 150, 200];
const tunedBatchSizes = [8, 16, 32, 50];
const tunedTimeoutsMs = [0, 20, 100];

type CapacitySettings = Pick<Settings, (typeof capacityKeys)[number] | (typeof passedKeys)[number]>;

/** `weft bench capacity`: the highest rate of requests that keeps an SLO, and what follows from it. */
export async function benchCapacity(args: readonly string[]): Promise<void> {
  const { settings, operands } = loadCommand([...capacityKeys, ...passedKeys], args, process.env);
  expectOperands('weft bench capacity', operands, ['[MODEL]']);
  const [model = embeddedModelFolder] = operands;
  const slo = parseSlo(settings.slo);
  if (settings.tune === 'on' && settings.targetRps === 0) {
    throw new UserError(`${flagOf('tune')} tries batch sizes at a rate: give it with ${flagOf('targetRps')}`);
  }
  const capacity = await withServer(model, settings, (server) =>
    findCapacity(slo, startRate, async (rate) => {
      const experience = await tryRate(server, rate, { settings, slo });
      note(`${rate.toFixed(0)} requests/s: ${inWords(experience, slo)}`);
      return experience;
    }),
  );
  print(describe(capacity, settings));
  const comparison = settings.output === '' ? [] : await compare(model, settings, slo);
  const tuning = settings.tune === 'on' ? await tune(model, settings, slo) : [];
  if (tuning.length > 0) print(describeTuning(tuning, settings.targetRps));
  if (settings.output === '') return;
  const result: CapacityReport = {
    model,
    slo: settings.slo,
    capacity,
    safeShare,
    headroom,
    comparison,
    tuning,
    settings,
  };
  await writeFile(settings.output, JSON.stringify(result, undefined, 1)).catch((error: unknown) => {
    throw new UserError(`${settings.output} cannot be written: ${messageOf(error)}`);
  });
}

async function withServer<Result>(
  model: string,
  settings: CapacitySettings,
  use: (server: ChildServer) => Promise<Result>,
): Promise<Result> {
  const passed = passedKeys.filter((key) => settings[key] !== '');
  const server = await ChildServer.start([model, ...passed.flatMap((key) => [flagOf(key), String(settings[key])])]);
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

/**
 * Sends requests at a rate, without heed of their answers; a short warm-up is not counted.
 * @throws {UserError} the server ended, or refused every request
 */
async function tryRate(
  server: ChildServer,
  rate: number,
  { settings, slo }: { readonly settings: CapacitySettings; readonly slo: readonly Condition[] },
): Promise<Experience> {
  const durationMs = warmUpMs + settings.probeSeconds * 1000;
  const cut = AbortSignal.timeout(durationMs + graceMsOf(slo));
  const client = new GenerateClient({ url: server.url, signal: cut });
  const startedAt = performance.now();
  try {
    const plan = { client, durationMs, request: (n: number) => requestOf(n, settings), signal: cut };
    const traces = await openLoop(plan, poissonArrivals(rate, durationMs, 1));
    server.expectAlive();
    const [first] = traces;
    if (!cut.aborted && first?.error !== undefined && traces.every(({ error }) => error !== undefined)) {
      throw new UserError(`no request was answered: ${first.error}`);
    }
    return experienceOf(traces.filter(({ sentAtMs }) => sentAtMs >= startedAt + warmUpMs));
  } finally {
    client.close();
  }
}

/** Ids that every OPT has. */
function requestOf(n: number, { promptTokens, newTokens }: CapacitySettings): LoadRequest {
  const random = seededRandom(n);
  return {
    prompt: Array.from({ length: promptTokens }, () => 4 + Math.floor(random() * 2900)),
    maxNewTokens: newTokens,
  };
}

/** The same rates with batches and one at a time. */
async function compare(model: string, settings: CapacitySettings, slo: readonly Condition[]): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const maxBatchSize of [settings.maxBatchSize, 1]) {
    trials.push(...(await tryAll(model, { ...settings, maxBatchSize }, slo, comparedRates)));
  }
  return trials;
}

async function tune(model: string, settings: CapacitySettings, slo: readonly Condition[]): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const maxBatchSize of tunedBatchSizes) {
    for (const batchTimeoutMs of tunedTimeoutsMs) {
      const tried = { ...settings, maxBatchSize, batchTimeoutMs };
      trials.push(...(await tryAll(model, tried, slo, [settings.targetRps])));
    }
  }
  return trials;
}

async function tryAll(
  model: string,
  settings: CapacitySettings,
  slo: readonly Condition[],
  rates: readonly number[],
): Promise<Trial[]> {
  return withServer(model, settings, async (server) => {
    const trials: Trial[] = [];
    for (const rate of rates) {
      const experience = await tryRate(server, rate, { settings, slo });
      const { maxBatchSize, batchTimeoutMs } = settings;
      trials.push({ maxBatchSize, batchTimeoutMs, rate, experience, broken: brokenConditions(slo, experience) });
      note(`batches of ${maxBatchSize}, ${batchTimeoutMs} ms, ${rate} requests/s: ${inWords(experience, slo)}`);
    }
    return trials;
  });
}

function inWords(experience: Experience, slo: readonly Condition[]): string {
  const broken = brokenConditions(slo, experience);
  return broken.length === 0 ? `holds, p95 ${experience.e2el.p95.toFixed(0)} ms` : broken.join(', ');
}

function describe({ highestRate, kneeRate, safeRate }: Capacity, { slo, targetRps }: CapacitySettings): string {
  if (highestRate === 0) return `no rate that was tried keeps ${slo}`;
  const lines = [
    ['SLO', slo],
    ['highest rate', `${highestRate.toFixed(1)} requests/s`],
    ['knee', `${kneeRate.toFixed(1)} requests/s`],
    ['safe rate', `${safeRate.toFixed(1)} requests/s = ${safeShare} x ${highestRate.toFixed(1)}`],
  ];
  if (targetRps > 0) {
    const count = instancesFor(targetRps, headroom, safeRate);
    lines.push(['instances', `${count} = ⌈${targetRps} x ${1 + headroom} / ${safeRate.toFixed(1)}⌉`]);
  }
  return lines.map(([name = '', value]) => `${name.padEnd(14)}${value}`).join('\n');
}

/** Of those that hold, the quickest. */
function describeTuning(trials: readonly Trial[], rate: number): string {
  const holding = trials.filter(({ broken }) => broken.length === 0);
  const best = holding.toSorted((a, b) => a.experience.e2el.p95 - b.experience.e2el.p95)[0];
  if (best === undefined) return `no batch size and timeout that were tried keep the SLO at ${rate} requests/s`;
  const flags = `${flagOf('maxBatchSize')} ${best.maxBatchSize} ${flagOf('batchTimeoutMs')} ${best.batchTimeoutMs}`;
  return `at ${rate} requests/s  ${flags} (p95 ${best.experience.e2el.p95.toFixed(0)} ms; ${holding.length} of ${trials.length} pairs hold)`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
