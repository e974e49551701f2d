import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LoadSummary, type Percentiles, percentile } from '../../src/load/index.ts';

/** How many of the compared tokens are equal to those of `naive`. */
export interface Agreement {
  readonly numTokens: number;
  readonly numSame: number;
}

/** One scenario on one server, once. */
export interface Run {
  readonly contestant: string;
  readonly scenario: string;
  readonly round: number;
  /** Closed-loop users, if not the scenario's number. */
  readonly users?: number;
  readonly summary?: LoadSummary;
  /** Why there is no summary. */
  readonly problem?: string;
}

/** The part of a run that the timeline shows. */
export const lanesMs = 12_000;

/** One request in a timeline (ms since the timeline's start). */
export interface Lane {
  readonly sentMs: number;
  /** When its first step began. */
  readonly startedMs: number;
  readonly firstTokenMs: number;
  readonly endedMs: number;
}

export interface ContestantResult {
  readonly name: string;
  readonly description: string;
  agreement?: Agreement;
  /** Why it was not measured, or not completely. */
  problem?: string;
  /** Where the time of its requests went in `seed` (ms); the last stage is the rest of what the client measured. */
  stages?: Readonly<Record<string, Percentiles>>;
  lanes?: readonly Lane[];
}

/** All results of a race; written after every run. */
export interface Results {
  readonly startedAt: string;
  isComplete: boolean;
  readonly command: string;
  readonly model: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly commit: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly maxBatchSize: number;
  readonly scenarios: Readonly<Record<string, string>>;
  readonly contestants: ContestantResult[];
  readonly runs: Run[];
}

const root = fileURLToPath(new URL('../../', import.meta.url));
export const resultsFolder = path.join(root, 'bench/results');

export function describeMachine(): Readonly<Record<string, string | number>> {
  const [first] = cpus();
  return {
    cpu: first?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
  };
}

export function describeVersions(): Readonly<Record<string, string>> {
  const versionOf = (name: string) =>
    JSON.parse(readFileSync(path.join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
  const packages = ['onnxruntime-node', '@huggingface/transformers', 'fastify'];
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  return {
    node: process.version,
    weft: version,
    ...Object.fromEntries(packages.map((name) => [name, versionOf(name)])),
  };
}

/** The commit, marked if the working tree has changes. */
export function describeCommit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ' with changes');
  } catch {
    return 'unknown';
  }
}

/** Writes a file atomically. @returns its path */
export function writeResult(name: string, content: string, folder = resultsFolder): string {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, name);
  writeFileSync(`${file}.part`, content);
  renameSync(`${file}.part`, file);
  return file;
}

/** The median over a contestant's rounds of a scenario; undefined if it has none. */
export function medianOf(
  { runs }: Results,
  at: { readonly contestant: string; readonly scenario: string; readonly users?: number },
  of: (summary: LoadSummary) => number,
): number | undefined {
  const values = runs
    .filter((run) => run.contestant === at.contestant && run.scenario === at.scenario && run.users === at.users)
    .flatMap(({ summary }) => (summary === undefined ? [] : [of(summary)]));
  return values.length > 0 ? percentile(values, 0.5) : undefined;
}
