import {
  closedLoop,
  type Dialect,
  GenerateClient,
  type LoadSummary,
  openLoop,
  type RequestTrace,
  type Slo,
  summarize,
  type Window,
} from '../../src/load/index.ts';
import { arrivalsOf, requestOf, type Scenario } from './scenarios.ts';
import { type ServerCommand, ServerProcess } from './server-process.ts';

/** A server that can be measured. */
export interface Contestant extends ServerCommand {
  readonly name: string;
  readonly description: string;
  readonly dialect?: Dialect;
  /** The dialect in which its tokens are checked, if the other one does not report their ids. */
  readonly checkedDialect?: Dialect;
}

export interface MeasureOptions {
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly slo?: Slo;
  readonly signal?: AbortSignal;
}

/** The measurements of one contestant in one scenario. */
export interface Measured {
  readonly summary: LoadSummary;
  readonly window: Window;
  readonly traces: readonly RequestTrace[];
}

/** Starts a fresh server, uses it and stops it. @throws {Error} it did not start, or `use` failed; with its last output if it exited */
export async function withServer<Result>(
  contestant: Contestant,
  signal: AbortSignal | undefined,
  use: (server: ServerProcess) => Promise<Result>,
): Promise<Result> {
  const server = await ServerProcess.start(contestant, signal);
  try {
    return await use(server);
  } catch (error) {
    if (!server.hasEnded) throw error;
    throw new Error(`exited during the run (${error instanceof Error ? error.message : error}): ${server.lastOutput}`);
  } finally {
    await server.stop();
  }
}

/** A server that is silent for this share of the window while requests are open has stopped answering. */
const hungShare = 0.75;

/** Runs a scenario on a server. @throws {Error} the server exited, answered nothing, or stopped answering; the message says which */
export async function measure(
  server: Pick<ServerProcess, 'url' | 'hasEnded'>,
  { dialect }: Pick<Contestant, 'dialect'>,
  scenario: Scenario,
  { warmUpMs, measureMs, slo, signal }: MeasureOptions,
): Promise<Measured> {
  const durationMs = warmUpMs + measureMs;
  const startedAt = performance.now();
  // After the window: requests that are still open count with the tokens that came in time.
  const cut = cutAfter(durationMs + 50, signal);
  const client = new GenerateClient({ url: server.url, signal: cut.signal, ...(dialect && { dialect }) });
  const plan = { client, durationMs, signal: cut.signal, request: (n: number) => requestOf(scenario, n) };
  try {
    const { arrivals } = scenario;
    const traces =
      arrivals.kind === 'closed'
        ? await closedLoop(plan, arrivals.users)
        : await openLoop(plan, arrivalsOf(scenario, durationMs) ?? []);
    signal?.throwIfAborted();
    const window = { fromMs: startedAt + warmUpMs, toMs: startedAt + durationMs };
    expectAlive(server, traces, window);
    return { summary: summarize(traces, window, slo), window, traces };
  } finally {
    cut.end();
    client.close();
  }
}

/** Aborts after a time, or with another signal. `AbortSignal.any` of a timeout may never abort: its timer can be collected (nodejs/node#57736). */
function cutAfter(ms: number, signal: AbortSignal | undefined): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, ms);
  signal?.addEventListener('abort', abort);
  if (signal?.aborted) abort();
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, end };
}

function expectAlive(
  server: Pick<ServerProcess, 'hasEnded'>,
  traces: readonly RequestTrace[],
  { fromMs, toMs }: Window,
): void {
  if (server.hasEnded) throw new Error('the server has exited');
  const inTime = traces.filter(({ endedAtMs }) => endedAtMs < toMs);
  if (!inTime.some(({ error, endedAtMs }) => error === undefined && endedAtMs >= fromMs)) {
    throw new Error(inTime.find(({ error }) => error !== undefined)?.error ?? 'no request was answered in time');
  }
  const heardAt = traces.flatMap(({ tokenAtMs }) => tokenAtMs).filter((at) => at < toMs);
  const silentMs = toMs - heardAt.reduce((a, b) => Math.max(a, b), fromMs);
  if (inTime.length < traces.length && silentMs > hungShare * (toMs - fromMs)) {
    throw new Error(`stopped answering ${(silentMs / 1000).toFixed(1)} s before the end`);
  }
}
