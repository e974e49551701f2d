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

/** A server that takes part. */
export interface Contestant extends ServerCommand {
  readonly name: string;
  readonly description: string;
  readonly dialect?: Dialect;
}

export interface MeasureOptions {
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly slo?: Slo;
  readonly signal?: AbortSignal;
}

/** What one contestant made of one scenario. */
export interface Measured {
  readonly summary: LoadSummary;
  readonly window: Window;
  readonly traces: readonly RequestTrace[];
}

/** Starts a fresh server, uses it and stops it. @throws {Error} it cannot be started, or `use` failed; with its last words if it died */
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
    throw new Error(`it ended in the middle (${error instanceof Error ? error.message : error}): ${server.lastWords}`);
  } finally {
    await server.stop();
  }
}

/** Lets a scenario run on a server. @throws {Error} nothing was answered; the message says why */
export async function measure(
  { url }: ServerProcess,
  { dialect }: Contestant,
  scenario: Scenario,
  { warmUpMs, measureMs, slo, signal }: MeasureOptions,
): Promise<Measured> {
  const durationMs = warmUpMs + measureMs;
  // What is still under way then counts with the tokens that came in time.
  const cut = AbortSignal.any([AbortSignal.timeout(durationMs + 1), ...(signal ? [signal] : [])]);
  const client = new GenerateClient({ url, signal: cut, ...(dialect && { dialect }) });
  const startedAt = performance.now();
  const plan = { client, durationMs, signal: cut, request: (n: number) => requestOf(scenario, n) };
  try {
    const arrivalsMs = arrivalsOf(scenario, durationMs);
    const { arrivals } = scenario;
    const traces =
      arrivals.kind === 'closed'
        ? await closedLoop(plan, arrivals.users)
        : await openLoop(plan, { arrivalsMs: arrivalsMs ?? [] });
    signal?.throwIfAborted();
    const window = { fromMs: startedAt + warmUpMs, toMs: startedAt + durationMs };
    const summary = summarize(traces, window, slo);
    const firstError = traces.find(({ error, endedAtMs }) => error !== undefined && endedAtMs < window.toMs)?.error;
    if (summary.numRequests === 0) throw new Error(firstError ?? 'no request was answered in time');
    return { summary, window, traces };
  } finally {
    client.close();
  }
}
