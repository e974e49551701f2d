import { writeFile } from 'node:fs/promises';
import { type CommandLine, capacityServerKeys, flagOf, type Settings } from '../config/index.ts';
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
import { embeddedModelFolder } from '../store/index.ts';
import { ChildServer } from './child-server.ts';

const startRate = 5;
const headroom = 0.2;
const warmUpMs = 1000;

/** How long after the last request an answer still counts: longer than any limit of the SLO. */
function graceMsOf(slo: readonly Condition[]): number {
  return Math.max(3000, ...slo.map((condition) => ('limitMs' in condition ? 1.2 * condition.limitMs : 0)));
}

/** The rates at which batching is compared with serving one request at a time. */
const comparedRates = [50, 100, 150, 200];
const tunedBatchSizes = [8, 16, 32, 50];
const tunedTimeoutsMs = [0, 20, 100];

/** `weft bench capacity`: finds the highest request rate that keeps an SLO, and what follows from it. */
export async function benchCapacity({ settings, operands }: CommandLine): Promise<void> {
  const [model = embeddedModelFolder] = operands;
  const { output, targetRps } = settings;
  const slo = parseSlo(settings.slo);
  const tunedRate = settings.tune === 'on' ? targetRps : undefined;
  if (settings.tune === 'on' && tunedRate === undefined) {
    throw new UserError(`${flagOf('tune')} tries batch sizes at one rate; give the rate with ${flagOf('targetRps')}`);
  }
  // Before the measurements, which take minutes.
  if (output !== undefined) await write(output, '');
  const capacity = await withServer(model, settings, (server) =>
    findCapacity(slo, startRate, async (rate) => {
      const experience = await tryRate(server, rate, { settings, slo });
      note(`${rate.toFixed(0)} requests/s: ${inWords(experience, slo)}`);
      return experience;
    }),
  );
  print(describe(capacity, settings));
  const comparison = output === undefined ? [] : await compare(model, settings, slo);
  const tuning = tunedRate === undefined ? [] : await tune(model, settings, { slo, rate: tunedRate });
  if (tunedRate !== undefined) print(describeTuning(tuning, tunedRate));
  if (output === undefined) return;
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
  await write(output, JSON.stringify(result, undefined, 1));
}

/** @throws {UserError} the file cannot be written */
async function write(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: unknown) => {
    throw new UserError(`${file} cannot be written: ${messageOf(error)}`);
  });
}

async function withServer<Result>(
  model: string,
  settings: Settings,
  use: (server: ChildServer) => Promise<Result>,
): Promise<Result> {
  const passed = capacityServerKeys.filter((key) => settings[key] !== undefined);
  const server = await ChildServer.start([model, ...passed.flatMap((key) => [flagOf(key), String(settings[key])])]);
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

/**
 * Sends requests at a rate, whether or not they are answered in time. A short warm-up does not count.
 * @throws {UserError} the server exited or refused every request
 */
async function tryRate(
  server: ChildServer,
  rate: number,
  { settings, slo }: { readonly settings: Settings; readonly slo: readonly Condition[] },
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

/** A prompt of random token ids that every vocabulary has. */
function requestOf(n: number, { promptTokens, newTokens }: Settings): LoadRequest {
  const random = seededRandom(n);
  return {
    prompt: Array.from({ length: promptTokens }, () => 4 + Math.floor(random() * 2900)),
    maxNewTokens: newTokens,
  };
}

/** Tries the same rates with batching and one request at a time. */
async function compare(model: string, settings: Settings, slo: readonly Condition[]): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const maxBatchSize of [settings.maxBatchSize, 1]) {
    trials.push(...(await tryAll(model, { ...settings, maxBatchSize }, slo, comparedRates)));
  }
  return trials;
}

async function tune(
  model: string,
  settings: Settings,
  { slo, rate }: { readonly slo: readonly Condition[]; readonly rate: number },
): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const maxBatchSize of tunedBatchSizes) {
    for (const batchTimeoutMs of tunedTimeoutsMs) {
      const tried = { ...settings, maxBatchSize, batchTimeoutMs };
      trials.push(...(await tryAll(model, tried, slo, [rate])));
    }
  }
  return trials;
}

async function tryAll(
  model: string,
  settings: Settings,
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
  return broken.length === 0 ? `SLO kept, p95 ${experience.e2el.p95.toFixed(0)} ms` : broken.join(', ');
}

function describe({ highestRate, kneeRate, safeRate }: Capacity, { slo, targetRps }: Settings): string {
  if (highestRate === 0) return `none of the rates that were tried keeps ${slo}`;
  const lines = [
    ['SLO', slo],
    ['highest rate', `${highestRate.toFixed(1)} requests/s`],
    ['knee', `${kneeRate.toFixed(1)} requests/s`],
    ['safe rate', `${safeRate.toFixed(1)} requests/s = ${safeShare} x ${highestRate.toFixed(1)}`],
  ];
  if (targetRps !== undefined) {
    const count = instancesFor(targetRps, headroom, safeRate);
    lines.push(['instances', `${count} = ⌈${targetRps} x ${1 + headroom} / ${safeRate.toFixed(1)}⌉`]);
  }
  return lines.map(([name = '', value]) => `${name.padEnd(14)}${value}`).join('\n');
}

/** Names the pair with the lowest latency among those that keep the SLO. */
function describeTuning(trials: readonly Trial[], rate: number): string {
  const holding = trials.filter(({ broken }) => broken.length === 0);
  const best = holding.toSorted((a, b) => a.experience.e2el.p95 - b.experience.e2el.p95)[0];
  if (best === undefined)
    return `none of the batch sizes and timeouts that were tried keeps the SLO at ${rate} requests/s`;
  const flags = `${flagOf('maxBatchSize')} ${best.maxBatchSize} ${flagOf('batchTimeoutMs')} ${best.batchTimeoutMs}`;
  return `at ${rate} requests/s  ${flags} (p95 ${best.experience.e2el.p95.toFixed(0)} ms; ${holding.length} of ${trials.length} pairs keep the SLO)`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
