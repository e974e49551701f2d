import { escapeHtml, renderPage } from '../page/page.ts';
import { plotsOf } from './charts.ts';
import { reference } from './contestants.ts';
import { medianOf, type Results } from './results.ts';
import { problemsOf, provenanceOf } from './table.ts';

/** The report as one page that needs nothing else. */
export function renderReport(results: Results): string {
  const incomplete = results.isComplete ? '' : '<p class="problem">This race was not run to its end.</p>';
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

/** Every run, raw. */
function runTable({ runs }: Results): string {
  const header = [
    'contestant',
    'load',
    'round',
    'requests/s',
    'tokens/s',
    'goodput',
    'errors',
    'TTFT p50',
    'p95',
    'ITL p50',
    'p95',
    'E2EL p50',
    'p95',
    'p99',
  ];
  const rows = runs.map(({ contestant, scenario, round, users, summary: s, problem }) => {
    const load = users === undefined ? scenario : `${users} users`;
    if (s === undefined) return [contestant, load, round + 1, problem ?? ''];
    const times = [s.ttft.p50, s.ttft.p95, s.itl.p50, s.itl.p95, s.e2el.p50, s.e2el.p95, s.e2el.p99];
    const rates = [s.requestsPerSecond, s.tokensPerSecond, s.goodput ?? Number.NaN].map((value) => value.toFixed(1));
    return [
      contestant,
      load,
      round + 1,
      ...rates,
      s.numErrors,
      ...times.map((ms) => (Number.isNaN(ms) ? '' : ms.toFixed(0))),
    ];
  });
  const line = (tag: string, cells: readonly unknown[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>`;
  return `<section><h2>Every run</h2><p>Goodput: requests a second with their first token within 500 ms. Times in milliseconds.</p>
<div class="table"><table><thead>${line('th', header)}</thead><tbody>${rows.map((row) => line('td', row)).join('\n')}</tbody></table></div></section>`;
}
