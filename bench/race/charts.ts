import type { ChartConfiguration, ChartDataset } from 'chart.js';
import type { LoadSummary, Percentiles } from '../../src/load/index.ts';
import type { Plot } from '../page/page.ts';
import { type Lane, lanesMs, medianOf, type Results } from './results.ts';

/** Readable on light and dark backgrounds. */
const colors = ['#8a8f98', '#c0504d', '#d98c2b', '#8e6bbf', '#2e8b57', '#2f7fd1', '#1aa5b8', '#b0417e', '#a0785a'];
const stageColors: Readonly<Record<string, string>> = {
  load: '#a0785a',
  receive: '#b8bcc4',
  validate: '#9aa0aa',
  tokenize: '#8e6bbf',
  queue: '#d98c2b',
  generate: '#58a55c',
  prefill: '#2f7fd1',
  decode: '#2e8b57',
  detokenize: '#1aa5b8',
  write: '#b0417e',
  network: '#707680',
};
const barHeight = 34;
const milliseconds = 'milliseconds';

/** The plots for which the results have data. */
export function plotsOf(results: Results): Plot[] {
  return [
    rates(results),
    latencies(results),
    firstTokens(results),
    curve(results),
    ...(['p50', 'p90', 'p95', 'p99'] as const).map((percentile) => stageBars(results, percentile)),
    ...results.contestants
      .filter(({ name, lanes = [] }) => ['continuous', 'static', 'naive'].includes(name) && lanes.length > 0)
      .flatMap(({ name, lanes = [] }) => [timeline(name, lanes), fullness(name, lanes, results.maxBatchSize)]),
  ].filter(({ config }) => config.data.datasets.some(({ data }) => data.length > 0));
}

/** The contestants that ran a scenario, each with the median of a figure. */
function medians(results: Results, scenario: string, of: (summary: LoadSummary) => number) {
  return results.contestants.flatMap(({ name }, i) => {
    const value = medianOf(results, { contestant: name, scenario }, of);
    return value === undefined ? [] : [{ name, value, color: colorOf(i) }];
  });
}

function colorOf(index: number): string {
  return colors[index % colors.length] ?? 'gray';
}

function rates(results: Results): Plot {
  const rows = medians(results, 'seed', ({ requestsPerSecond }) => requestsPerSecond);
  const data = {
    labels: rows.map(({ name }) => name),
    datasets: [{ data: rows.map(({ value }) => value), backgroundColor: rows.map(({ color }) => color) }],
  };
  return {
    id: 'rates',
    title: 'Requests per second',
    explanation: `${results.scenarios.seed ?? ''}. Medians of the rounds.`,
    height: 60 + rows.length * barHeight,
    config: { type: 'bar', data, options: horizontal({ x: 'requests/s' }) },
  };
}

function latencies(results: Results): Plot {
  const levels = ['p50', 'p90', 'p95', 'p99'] as const;
  const byLevel = levels.map((level) => medians(results, 'seed', ({ e2el }) => e2el[level]));
  const shades = ['#9cc3ea', '#5b9bd5', '#2f7fd1', '#7a6bd0'];
  return {
    id: 'latencies',
    title: 'Latency of a request',
    explanation: 'From sending the request to the last token, 40 users. Logarithmic scale.',
    height: 80 + (byLevel[0]?.length ?? 0) * 2 * barHeight,
    config: {
      type: 'bar',
      data: {
        labels: byLevel[0]?.map(({ name }) => name) ?? [],
        datasets: byLevel.map((rows, i) => ({
          label: levels[i] ?? '',
          data: rows.map(({ value }) => value),
          backgroundColor: shades[i] ?? 'gray',
        })),
      },
      options: horizontal({ x: milliseconds, isLogarithmic: true, hasLegend: true }),
    },
  };
}

function firstTokens(results: Results): Plot {
  const kinds: readonly [label: string, color: string, of: (summary: LoadSummary) => number][] = [
    ['TTFT p50', '#9fd8b8', ({ ttft }) => ttft.p50],
    ['TTFT p95', '#2e8b57', ({ ttft }) => ttft.p95],
    ['ITL p50', '#f1c48a', ({ itl }) => itl.p50],
    ['ITL p95', '#d98c2b', ({ itl }) => itl.p95],
  ];
  const columns = kinds.map(([label, color, of]) => ({ label, color, rows: medians(results, 'mixed', of) }));
  return {
    id: 'first-tokens',
    title: 'Time to first token, and time between tokens',
    explanation: `${results.scenarios.mixed ?? ''}. For servers that answer in one piece, the first token comes with the last one, and there is no time between tokens.`,
    height: 80 + (columns[0]?.rows.length ?? 0) * 2 * barHeight,
    config: {
      type: 'bar',
      data: {
        labels: columns[0]?.rows.map(({ name }) => name) ?? [],
        // A logarithmic scale cannot show zero.
        datasets: columns.map(({ label, color, rows }) => ({
          label,
          data: rows.map(({ value }) => (value >= 0.1 ? value : null)),
          backgroundColor: color,
        })),
      },
      options: horizontal({ x: milliseconds, isLogarithmic: true, hasLegend: true }),
    },
  };
}

function curve(results: Results): Plot {
  const datasets = results.contestants.flatMap(({ name }, i): ChartDataset<'line'>[] => {
    const points = results.runs.flatMap(({ contestant, users, summary }) =>
      contestant === name && users !== undefined && summary !== undefined
        ? [{ x: users, y: summary.tokensPerSecond }]
        : [],
    );
    return points.length === 0
      ? []
      : [{ type: 'line', label: name, data: points, borderColor: colorOf(i), backgroundColor: colorOf(i) }];
  });
  return {
    id: 'curve',
    title: 'Throughput against concurrency',
    explanation: 'Tokens per second by number of users; prompts of 16 tokens, 10 new tokens.',
    height: 340,
    config: {
      type: 'line',
      data: { datasets },
      options: {
        maintainAspectRatio: false,
        animation: false,
        scales: {
          x: { type: 'linear', title: { display: true, text: 'users' } },
          y: { beginAtZero: true, title: { display: true, text: 'tokens/s' } },
        },
      },
    },
  };
}

function stageBars(results: Results, level: keyof Percentiles): Plot {
  const staged = results.contestants.filter(({ stages }) => stages !== undefined);
  const names = [...new Set(staged.flatMap(({ stages = {} }) => Object.keys(stages)))];
  const datasets = names.map((stage) => ({
    label: stage,
    data: staged.map(({ stages }) => stages?.[stage]?.[level] ?? 0),
    backgroundColor: stageColors[stage] ?? 'gray',
    stack: 'stages',
  }));
  return {
    id: `stages-${level}`,
    title: `Where the time of a request goes, ${level}`,
    explanation: `Each stage at its own ${level}, 40 users. Time that a server does not report counts as network.`,
    height: 110 + staged.length * barHeight,
    config: {
      type: 'bar',
      data: { labels: staged.map(({ name }) => name), datasets },
      options: horizontal({ x: milliseconds, hasLegend: true, isStacked: true }),
    },
  };
}

function timeline(name: string, lanes: readonly Lane[]): Plot {
  const parts: readonly [label: string, color: string, of: (lane: Lane) => [number, number]][] = [
    ['waiting', '#d98c2b', ({ sentMs, startedMs }) => [sentMs, startedMs]],
    ['prefill', '#2f7fd1', ({ startedMs, firstTokenMs }) => [startedMs, firstTokenMs]],
    ['decode', '#2e8b57', ({ firstTokenMs, endedMs }) => [firstTokenMs, endedMs]],
  ];
  const rows = rowsOf(lanes);
  const numRows = Math.max(0, ...rows) + 1;
  return {
    id: `timeline-${name}`,
    title: `When requests join and leave: ${name}`,
    explanation: 'Each line shows one request at a time. A server that answers in one piece shows no decoding.',
    height: 90 + numRows * 9,
    config: {
      type: 'bar',
      data: {
        labels: Array.from({ length: numRows }, (_, row) => row),
        datasets: parts.map(([label, color, of]) => ({
          label,
          data: lanes.map((lane, i) => ({ x: of(lane), y: rows[i] ?? 0 })) as unknown as [number, number][],
          backgroundColor: color,
          grouped: false,
          barPercentage: 1,
          categoryPercentage: 0.85,
        })),
      },
      options: {
        ...horizontal({ x: milliseconds, hasLegend: true }),
        scales: {
          x: { min: 0, max: lengthOf(lanes), title: { display: true, text: milliseconds } },
          y: { ticks: { display: false }, grid: { display: false } },
        },
      },
    },
  };
}

function lengthOf(lanes: readonly Lane[]): number {
  return Math.min(lanesMs, Math.ceil(lanes.reduce((ms, { endedMs }) => Math.max(ms, endedMs), 0)));
}

/** Assigns each request the first free row, so that the requests of a row do not overlap. */
function rowsOf(lanes: readonly Lane[]): number[] {
  const freeAt: number[] = [];
  return lanes.map(({ sentMs, endedMs }) => {
    const free = freeAt.findIndex((at) => at <= sentMs);
    const row = free < 0 ? freeAt.length : free;
    freeAt[row] = endedMs;
    return row;
  });
}

function fullness(name: string, lanes: readonly Lane[], maxBatchSize: number): Plot {
  const points = fullnessOf(lanes, lengthOf(lanes));
  const mean = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  return {
    id: `fullness-${name}`,
    title: `How full the batch is: ${name}`,
    explanation: `Sequences in progress; on average ${mean.toFixed(1)}, which is ${((100 * mean) / maxBatchSize).toFixed(0)} % of ${maxBatchSize} slots.`,
    height: 220,
    config: {
      type: 'line',
      data: {
        datasets: [
          {
            data: points,
            stepped: true,
            pointRadius: 0,
            fill: true,
            borderColor: '#2e8b57',
            backgroundColor: '#2e8b5755',
          },
        ],
      },
      options: {
        maintainAspectRatio: false,
        animation: false,
        plugins: { legend: { display: false } },
        scales: {
          x: { type: 'linear', min: 0, max: lengthOf(lanes), title: { display: true, text: milliseconds } },
          y: { min: 0, max: maxBatchSize, title: { display: true, text: 'sequences' } },
        },
      },
    },
  };
}

/** The number of sequences in progress, every 10 ms. */
function fullnessOf(lanes: readonly Lane[], lengthMs: number): { x: number; y: number }[] {
  return Array.from({ length: Math.ceil(lengthMs / 10) }, (_, i) => {
    const x = i * 10;
    return { x, y: lanes.filter(({ startedMs, endedMs }) => startedMs <= x && x < endedMs).length };
  });
}

function horizontal({
  x,
  isLogarithmic = false,
  hasLegend = false,
  isStacked = false,
}: {
  x: string;
  isLogarithmic?: boolean;
  hasLegend?: boolean;
  isStacked?: boolean;
}): NonNullable<ChartConfiguration<'bar'>['options']> {
  return {
    indexAxis: 'y',
    maintainAspectRatio: false,
    animation: false,
    plugins: { legend: { display: hasLegend } },
    scales: {
      x: {
        type: isLogarithmic ? 'logarithmic' : 'linear',
        stacked: isStacked,
        title: { display: true, text: x },
      },
      y: { stacked: isStacked },
    },
  };
}
