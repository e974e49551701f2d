import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { percentile } from '../../src/load/index.ts';

/** One request of a k6 run. */
interface Sample {
  readonly method: string;
  readonly name: string;
  readonly endedAtMs: number;
  readonly durationMs: number;
}

interface Failure {
  readonly method: string;
  readonly name: string;
  readonly atMs: number;
  readonly error: string;
}

/** The parts of k6's time series that Locust's files need. */
export interface TimeSeries {
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
  /** Changes of the number of users. */
  readonly users: readonly { readonly atMs: number; readonly count: number }[];
  /** Sizes of the answers. */
  readonly sizes: readonly { readonly atMs: number; readonly bytes: number }[];
}

type Row = Record<string, string>;

/** Reads the output of `k6 run --out csv=…` with `K6_CSV_TIME_FORMAT=unix_milli`. */
export function readTimeSeries(file: string): TimeSeries {
  const rows: Row[] = parse(readFileSync(file), { columns: true, relax_column_count: true });
  const of = (metric: string) => rows.filter(({ metric_name }) => metric_name === metric);
  const at = ({ timestamp }: Row) => Number(timestamp);
  return {
    samples: of('http_req_duration').map((row) => ({
      method: row.method ?? '',
      name: row.name ?? '',
      endedAtMs: at(row),
      durationMs: Number(row.metric_value),
    })),
    failures: of('failures').map((row) => ({
      method: row.method ?? '',
      name: row.name ?? '',
      atMs: at(row),
      error: new URLSearchParams(row.extra_tags).get('problem') ?? '',
    })),
    users: of('vus').map((row) => ({ atMs: at(row), count: Number(row.metric_value) })),
    sizes: of('content_size').map((row) => ({ atMs: at(row), bytes: Number(row.metric_value) })),
  };
}

const shares = [0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1];
const shareColumns = ['50%', '66%', '75%', '80%', '90%', '95%', '98%', '99%', '99.9%', '99.99%', '100%'];

/** Locust computes current rates and percentiles over this window. */
const currentMs = 10_000;

/** Writes `PREFIX_stats.csv`, `PREFIX_stats_history.csv` and `PREFIX_failures.csv`, with the columns of Locust 2. */
export function writeLocustFiles(prefix: string, series: TimeSeries): void {
  const write = (kind: string, rows: readonly Row[], columns: readonly string[]) =>
    writeFileSync(`${prefix}_${kind}.csv`, stringify([...rows], { header: true, columns: [...columns] }));
  write('stats', statsRows(series), statsColumns);
  write('stats_history', historyRows(series), historyColumns);
  write('failures', failureRows(series), failureColumns);
}

const statsColumns = [
  ...['Type', 'Name', 'Request Count', 'Failure Count', 'Median Response Time', 'Average Response Time'],
  ...['Min Response Time', 'Max Response Time', 'Average Content Size', 'Requests/s', 'Failures/s'],
  ...shareColumns,
];

function statsRows(series: TimeSeries): Row[] {
  const { startMs, endMs } = spanOf(series);
  const seconds = Math.max(0.001, (endMs - startMs) / 1000);
  return groupsOf(series).map(({ type, name, samples, failures }) => {
    const total = totalOf(samples);
    return {
      Type: type,
      Name: name,
      'Request Count': String(samples.length),
      'Failure Count': String(failures.length),
      'Median Response Time': total.median,
      'Average Response Time': total.average,
      'Min Response Time': total.min,
      'Max Response Time': total.max,
      'Average Content Size': averageSize(series),
      'Requests/s': String(samples.length / seconds),
      'Failures/s': String(failures.length / seconds),
      ...percentileCells(samples, '0'),
    };
  });
}

const historyColumns = [
  ...['Timestamp', 'User Count', 'Type', 'Name', 'Requests/s', 'Failures/s'],
  ...shareColumns,
  ...['Total Request Count', 'Total Failure Count', 'Total Median Response Time', 'Total Average Response Time'],
  ...['Total Min Response Time', 'Total Max Response Time', 'Total Average Content Size'],
];

function historyRows(series: TimeSeries): Row[] {
  const { startMs, endMs } = spanOf(series);
  const rows: Row[] = [];
  for (let nowMs = Math.floor(startMs / 1000) * 1000; nowMs < endMs + 1000; nowMs += 1000) {
    const users = series.users.findLast(({ atMs }) => atMs <= nowMs)?.count ?? 0;
    for (const { type, name, samples, failures } of groupsOf(series)) {
      const past = samples.filter(({ endedAtMs }) => endedAtMs <= nowMs);
      if (past.length === 0 && name !== aggregated) continue;
      const pastFailures = failures.filter(({ atMs }) => atMs <= nowMs);
      const current = past.filter(({ endedAtMs }) => endedAtMs > nowMs - currentMs);
      const currentFailures = pastFailures.filter(({ atMs }) => atMs > nowMs - currentMs);
      const seconds = Math.min(currentMs, Math.max(1000, nowMs - startMs)) / 1000;
      const total = totalOf(past);
      rows.push({
        Timestamp: String(nowMs / 1000),
        'User Count': String(users),
        Type: type,
        Name: name,
        'Requests/s': (current.length / seconds).toFixed(6),
        'Failures/s': (currentFailures.length / seconds).toFixed(6),
        ...percentileCells(current, 'N/A'),
        'Total Request Count': String(past.length),
        'Total Failure Count': String(pastFailures.length),
        'Total Median Response Time': total.median,
        'Total Average Response Time': total.average,
        'Total Min Response Time': total.min,
        'Total Max Response Time': total.max,
        'Total Average Content Size': averageSize(series, nowMs),
      });
    }
  }
  return rows;
}

const failureColumns = ['Method', 'Name', 'Error', 'Occurrences', 'First Seen', 'Last Seen'];

function failureRows({ failures }: TimeSeries): Row[] {
  const keys = new Set(failures.map(({ method, name, error }) => JSON.stringify([method, name, error])));
  return [...keys].map((key) => {
    const [method, name, error] = JSON.parse(key);
    const same = failures.filter((each) => each.method === method && each.name === name && each.error === error);
    const iso = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
    return {
      Method: method,
      Name: name,
      Error: error,
      Occurrences: String(same.length),
      'First Seen': iso(same.reduce((ms, { atMs }) => Math.min(ms, atMs), Number.POSITIVE_INFINITY)),
      'Last Seen': iso(same.reduce((ms, { atMs }) => Math.max(ms, atMs), 0)),
    };
  });
}

const aggregated = 'Aggregated';

/** One group per kind of request, then one for all. */
function groupsOf({ samples, failures }: TimeSeries) {
  const keys = new Set(samples.map(({ method, name }) => JSON.stringify([method, name])));
  const each = [...keys].map((key) => {
    const [type, name] = JSON.parse(key) as [string, string];
    const isOfIt = (one: { method: string; name: string }) => one.method === type && one.name === name;
    return { type, name, samples: samples.filter(isOfIt), failures: failures.filter(isOfIt) };
  });
  return [...each, { type: '', name: aggregated, samples, failures }];
}

function spanOf({ samples }: TimeSeries): { startMs: number; endMs: number } {
  let startMs = Number.POSITIVE_INFINITY;
  let endMs = 0;
  for (const { endedAtMs, durationMs } of samples) {
    startMs = Math.min(startMs, endedAtMs - durationMs);
    endMs = Math.max(endMs, endedAtMs);
  }
  return { startMs: Math.min(startMs, endMs), endMs };
}

function totalOf(samples: readonly Sample[]) {
  const durations = samples.map(({ durationMs }) => durationMs);
  if (durations.length === 0) return { median: '0', average: '0.0', min: '0', max: '0' };
  const sum = durations.reduce((total, ms) => total + ms, 0);
  return {
    median: percentile(durations, 0.5).toFixed(0),
    average: String(sum / durations.length),
    min: String(percentile(durations, 0)),
    max: String(percentile(durations, 1)),
  };
}

function percentileCells(samples: readonly Sample[], none: string): Row {
  const durations = samples.map(({ durationMs }) => durationMs);
  const cells = shareColumns.map((column, i) => {
    const value = percentile(durations, shares[i] ?? 1);
    return [column, Number.isNaN(value) ? none : value.toFixed(0)];
  });
  return Object.fromEntries(cells);
}

function averageSize({ sizes }: TimeSeries, untilMs = Number.POSITIVE_INFINITY): string {
  const past = sizes.filter(({ atMs }) => atMs <= untilMs);
  return String(past.length === 0 ? 0 : past.reduce((sum, { bytes }) => sum + bytes, 0) / past.length);
}

/** The row for all requests in a `*_stats.csv` of Locust or k6. @throws {Error} there is no such row */
export function readLocustStats(file: string) {
  const rows: Row[] = parse(readFileSync(file), { columns: true });
  const total = rows.find((row) => row.Name === aggregated);
  if (total === undefined) throw new Error(`${file} has no row named ${aggregated}`);
  return {
    columns: Object.keys(total),
    numRequests: Number(total['Request Count']),
    numFailures: Number(total['Failure Count']),
    requestsPerSecond: Number(total['Requests/s']),
    p50: Number(total['50%']),
    p95: Number(total['95%']),
  };
}

/** The columns of a CSV file, and its number of rows. */
export function shapeOf(file: string): { readonly columns: readonly string[]; readonly numRows: number } {
  const [columns = [], ...rows]: string[][] = parse(readFileSync(file));
  return { columns, numRows: rows.length };
}
