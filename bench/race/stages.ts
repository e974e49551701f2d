import { type Percentiles, percentiles, type RequestTrace, type Window } from '../../src/load/index.ts';
import { type Lane, lanesMs } from './results.ts';

/** In the order in which a request passes them. */
const stages = ['receive', 'validate', 'load', 'tokenize', 'queue', 'generate', 'prefill', 'decode'] as const;

/** Stages that overlap with decoding; their time is subtracted from it. */
const withinDecoding = ['detokenize', 'write'] as const;

/**
 * Where the time of each request went, as reported by its server, and `network`: the rest of what the client measured. The parts of a
 * request add up to its end-to-end latency.
 */
export function stagesOf(traces: readonly RequestTrace[]): Record<string, Percentiles> {
  const parts = traces.filter(({ error }) => error === undefined).map(partsOf);
  const names = [...new Set(parts.flatMap((each) => Object.keys(each)))];
  return Object.fromEntries(names.map((name) => [name, percentiles(parts.map((each) => each[name] ?? 0))]));
}

function partsOf({ sentAtMs, endedAtMs, timings }: RequestTrace): Record<string, number> {
  const at = (stage: string) => timings[`${stage}_ms`] ?? 0;
  const inner = withinDecoding.reduce((sum, stage) => sum + at(stage), 0);
  const passed = stages.map((stage): [string, number] => [
    stage,
    stage === 'decode' ? Math.max(0, at(stage) - inner) : at(stage),
  ]);
  const all = Object.fromEntries([...passed, ...withinDecoding.map((stage) => [stage, at(stage)])]);
  const known = Object.values(all).reduce((sum: number, ms) => sum + Number(ms), 0);
  return { ...all, network: Math.max(0, endedAtMs - sentAtMs - known) };
}

const stagesOfWaiting = ['receive', 'validate', 'load', 'tokenize', 'queue'] as const;

/** The requests in the first part of a window, as lanes. */
export function lanesOf(traces: readonly RequestTrace[], { fromMs, toMs }: Window): Lane[] {
  const untilMs = Math.min(toMs, fromMs + lanesMs);
  const shown = traces.filter(({ sentAtMs, endedAtMs }) => endedAtMs > fromMs && sentAtMs < untilMs);
  return shown
    .toSorted((a, b) => a.sentAtMs - b.sentAtMs)
    .map(({ sentAtMs, endedAtMs, tokenAtMs, timings, error }) => {
      const firstTokenAtMs = tokenAtMs[0] ?? endedAtMs;
      const waited = stagesOfWaiting.reduce((sum, stage) => sum + (timings[`${stage}_ms`] ?? 0), 0);
      // For a request that was cut, the server has not reported when it started.
      const startedAtMs = error === undefined ? sentAtMs + waited : firstTokenAtMs;
      return {
        sentMs: sentAtMs - fromMs,
        startedMs: startedAtMs - fromMs,
        firstTokenMs: firstTokenAtMs - fromMs,
        endedMs: endedAtMs - fromMs,
      };
    });
}
