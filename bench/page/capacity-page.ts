import type { ChartDataset } from 'chart.js';
import {
  type CapacityReport,
  fullRate,
  instancesFor,
  safeRate,
  serviceTimeMs,
  tune,
  worstCaseMs,
} from '../../src/load/index.ts';
import { escapeHtml, type Plot, renderPage } from './page.ts';

/** The planning sheet alone. */
export function renderPlanning(): string {
  return renderPage({
    title: 'What a server can take',
    before: '',
    plots: [],
    after: planningSheet,
    footer: '',
    script: planningScript,
  });
}

/** @param provenance machine and version of the measurement */
export function renderCapacity(result: CapacityReport, provenance: string): string {
  const { model, slo, capacity, settings } = result;
  return renderPage({
    title: 'What a server can take',
    before: headline(result),
    plots: [latencyByRate(result), batchingOnAndOff(result), tuned(result)].filter(
      ({ config }) => config.data.datasets.length > 0,
    ),
    after: planningSheet,
    footer: `${model.split('/').at(-1)}, ${settings.promptTokens} tokens in, ${settings.newTokens} out, ${slo}, ${capacity.probes.length} rates tried; ${provenance}`,
    script: planningScript,
  });
}

function headline({ slo, capacity, safeShare, headroom, settings: { targetRps = 0 } }: CapacityReport): string {
  const { highestRate, kneeRate, safeRate: safe } = capacity;
  const instances =
    targetRps > 0 && safe > 0
      ? `<p>${targetRps} requests/s need ⌈${targetRps} × ${1 + headroom} ÷ ${safe.toFixed(0)}⌉ = <b id="instances">${instancesFor(targetRps, headroom, safe)}</b> instances.</p>`
      : '';
  return `<p class="ratio">${highestRate.toFixed(0)}</p>
<p>requests per second is the highest rate that kept ${escapeHtml(slo)}. The knee is at ${kneeRate.toFixed(0)}; ${safeShare} × ${highestRate.toFixed(0)} = ${safe.toFixed(0)} is safe to plan with.</p>${instances}`;
}

function latencyByRate({ capacity: { probes } }: CapacityReport): Plot {
  const line = (level: 'p50' | 'p95' | 'p99', color: string): ChartDataset<'line'> => ({
    label: level,
    data: probes.map(({ rate, experience }) => ({ x: rate, y: experience.e2el[level] })),
    borderColor: color,
    backgroundColor: color,
  });
  return {
    id: 'latency-by-rate',
    title: 'Latency by rate',
    explanation: 'End-to-end latency of a request. A line ends where too many requests were lost to compute it.',
    height: 320,
    config: {
      type: 'line',
      data: { datasets: [line('p50', '#9cc3ea'), line('p95', '#2f7fd1'), line('p99', '#7a6bd0')] },
      options: lineOptions('requests/s'),
    },
  };
}

function batchingOnAndOff({ comparison }: CapacityReport): Plot {
  const sizes = [...new Set(comparison.map(({ maxBatchSize }) => maxBatchSize))];
  const datasets = sizes.map((size): ChartDataset<'line'> => {
    const color = size === 1 ? '#c0504d' : '#2e8b57';
    const trials = comparison.filter(({ maxBatchSize }) => maxBatchSize === size);
    return {
      label: size === 1 ? 'one at a time' : `batches of up to ${size}`,
      data: trials.map(({ rate, experience }) => ({ x: rate, y: experience.e2el.p95 })),
      borderColor: color,
      backgroundColor: color,
    };
  });
  return {
    id: 'batching-on-and-off',
    title: 'Batching on and off',
    explanation:
      '95th percentile of the end-to-end latency. A line ends where more than 5 % of the requests were lost.',
    height: 320,
    config: { type: 'line', data: { datasets }, options: lineOptions('requests/s') },
  };
}

function tuned({ tuning, settings: { targetRps = 0 } }: CapacityReport): Plot {
  const timeouts = [...new Set(tuning.map(({ batchTimeoutMs }) => batchTimeoutMs))];
  const sizes = [...new Set(tuning.map(({ maxBatchSize }) => maxBatchSize))];
  const shades = ['#9fd8b8', '#2e8b57', '#1d5c3a'];
  return {
    id: 'tuned',
    title: `Batch sizes and timeouts at ${targetRps} requests/s`,
    explanation:
      '95th percentile of the end-to-end latency. A bar is missing where more than 5 % of the requests were lost.',
    height: 320,
    config: {
      type: 'bar',
      data: {
        labels: sizes.map((size) => `up to ${size}`),
        datasets: timeouts.map((timeout, i) => ({
          label: `${timeout} ms`,
          backgroundColor: shades[i % shades.length] ?? 'gray',
          data: sizes.map((size) => {
            const found = tuning.find((trial) => trial.maxBatchSize === size && trial.batchTimeoutMs === timeout);
            return found?.experience.e2el.p95 ?? null;
          }),
        })),
      },
      options: {
        maintainAspectRatio: false,
        animation: false,
        scales: { y: { beginAtZero: true, title: { display: true, text: 'milliseconds' } } },
      },
    },
  };
}

function lineOptions(x: string) {
  return {
    maintainAspectRatio: false,
    animation: false,
    scales: {
      x: { type: 'linear', title: { display: true, text: x } },
      y: { beginAtZero: true, title: { display: true, text: 'milliseconds' } },
    },
  } as const;
}

const fields: readonly (readonly [id: string, label: string, value: number])[] = [
  ['fixed', 'a: ms per batch', 6],
  ['each', 'c: ms per request in it', 4],
  ['size', 'b: requests per batch', 8],
  ['wait', 'longest wait (ms)', 20],
  ['limit', 'p95 limit (ms)', 120],
  ['rate', 'requests per second', 200],
  ['service', 'service time (ms)', 12],
  ['workers', 'workers per instance', 2],
  ['cap', 'cap (%)', 70],
  ['target', 'target (requests/s)', 600],
  ['headroom', 'headroom (%)', 20],
];

/** The same arithmetic for the reader's own numbers. */
const planningSheet = `<section id="planning"><h2>Plan with your own numbers</h2>
<p>A batch of b requests takes a + c·b.</p>
<form>${fields.map(([id, label, value]) => `<label>${label}<input id="${id}" type="number" min="0" step="any" value="${value}"></label>`).join('')}</form>
<div class="table"><table><tbody>
<tr><td>service time: a + c·b</td><td><output id="of-service"></output></td></tr>
<tr><td>worst case: wait + a + c·b</td><td><output id="of-worst"></output></td></tr>
<tr><td>rate: b ÷ (a + c·b)</td><td><output id="of-rate"></output></td></tr>
<tr><td>smallest batch that reaches the rate within the limit</td><td><output id="of-tuning"></output></td></tr>
<tr><td>safe rate of an instance: workers ÷ service time × cap</td><td><output id="of-safe"></output></td></tr>
<tr><td>instances: ⌈target × (1 + headroom) ÷ safe rate⌉</td><td><output id="of-instances"></output></td></tr>
</tbody></table></div></section>`;

const formulas = [serviceTimeMs, worstCaseMs, fullRate, safeRate, instancesFor, tune];

const planningScript = `
${formulas.map(String).join('\n')}
function plan() {
  const of = (id) => Number(document.getElementById(id).value);
  const show = (id, text) => { document.getElementById(id).textContent = text; };
  const service = { fixedMs: of('fixed'), perRequestMs: of('each') };
  show('of-service', serviceTimeMs(service, of('size')) + ' ms');
  show('of-worst', worstCaseMs(service, of('size'), of('wait')) + ' ms');
  show('of-rate', Math.floor(fullRate(service, of('size'))) + ' requests/s');
  const tuning = tune(service, { limitMs: of('limit'), rate: of('rate'), maxBatchSize: 1024 });
  show('of-tuning', tuning === undefined ? 'none' : tuning.batchSize + ', timeout ' + tuning.timeoutMs.toFixed(0) + ' ms, worst case ' + tuning.worstCaseMs.toFixed(0) + ' ms');
  const safe = safeRate(of('service'), of('workers'), of('cap') / 100);
  show('of-safe', safe.toFixed(0) + ' requests/s');
  show('of-instances', instancesFor(of('target'), of('headroom') / 100, safe));
}
document.querySelector('form').addEventListener('input', plan);
plan();
`;
