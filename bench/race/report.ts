import { escapeHtml, renderPage } from '../page/page.ts';
import { plotsOf } from './charts.ts';
import { reference } from './contestants.ts';
import { medianOf, type Results } from './results.ts';
import { problemsOf, provenanceOf } from './table.ts';

/** The report as one self-contained page. */
export function renderReport(results: Results): string {
  const incomplete = results.isComplete ? '' : '<p class="problem">This race was not finished.</p>';
  return renderPage({
    title: 'What continuous batching buys',
    before: headline(results) + incomplete + problems(results),
    plots: plotsOf(results),
    after: runTable(results),
    footer: provenanceOf(results),
  });
}

function headline(results: Results): string {
  const rate = (contestant: string) =>
    medianOf(results, { contestant, scenario: 'seed' }, ({ requestsPerSecond }) => requestsPerSecond);
  const continuous = rate('continuous');
  const base = rate(reference);
  if (continuous === undefined || base === undefined) return '';
  const ratio = continuous / base;
  return `<p class="ratio" id="ratio">${ratio.toFixed(ratio < 10 ? 1 : 0)}×</p>
<p>as many requests per second as the tutorial server: ${continuous.toFixed(1)} instead of ${base.toFixed(1)}, the same weights, the same tokens, float32.</p>`;
}

function problems(results: Results): string {
  const each = results.contestants.flatMap(({ name, problem }) =>
    (problem === undefined ? problemsOf(results, name) : [problem]).map((text) => ({ name, text })),
  );
  return each
    .map(({ name, text }) => `<p class="problem"><b>${escapeHtml(name)}</b>: ${escapeHtml(text)}</p>`)
    .join('\n');
}

const kinds = ['ttft', 'itl', 'tpot', 'e2el'] as const;
const levels = ['p50', 'p90', 'p95', 'p99'] as const;

/** A table of every single run. */
function runTable({ runs }: Results): string {
  const times = kinds.flatMap((kind) => levels.map((level) => ({ kind, level })));
  const header = [
    ...['contestant', 'load', 'round', 'requests/s', 'tokens/s', 'goodput', 'errors'],
    ...times.map(({ kind, level }) => `${kind.toUpperCase()} ${level}`),
  ];
  const rows = runs.map(({ contestant, scenario, round, users, summary, problem = '' }) => {
    const run = [contestant, users === undefined ? scenario : `${users} users`, round + 1];
    if (summary === undefined) return [...run, problem];
    const { requestsPerSecond, tokensPerSecond, goodput, numErrors } = summary;
    const rates = [requestsPerSecond, tokensPerSecond, goodput].map((rate) => rate?.toFixed(1) ?? '');
    // A figure that was not measured is NaN, or null if it was read from JSON.
    const shown = times.map(({ kind, level }) => summary[kind][level]?.toFixed(kind === 'itl' ? 1 : 0));
    return [...run, ...rates, numErrors, ...shown.map((text = '') => (text === 'NaN' ? '' : text))];
  });
  const line = (tag: string, cells: readonly unknown[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>`;
  return `<section><h2>Every run</h2><p>Goodput: requests per second whose first token came within 500 ms. Times are in milliseconds. Requests that were still open at the end of a run count with the time waited so far.</p>
<div class="table"><table><thead>${line('th', header)}</thead><tbody>${rows.map((row) => line('td', row)).join('\n')}</tbody></table></div></section>`;
}
