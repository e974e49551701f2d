import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { plotsOf } from './charts.ts';
import { reference } from './race.ts';
import { medianOf, type Results } from './results.ts';
import { provenanceOf } from './table.ts';

const library = fileURLToPath(new URL('../../node_modules/chart.js/dist/chart.umd.min.js', import.meta.url));

const style = `
:root { color-scheme: light dark; --ground: #fff; --text: #1d2126; --faint: #6a7078; --line: #d9dde2; --strong: #2e8b57; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e6e9ec; --faint: #9aa1a9; --line: #333940; --strong: #58c98a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 0; }
.ratio { font-size: clamp(4rem, 20vw, 9rem); font-weight: 800; line-height: 1; color: var(--strong); margin: 0; }
p, footer { color: var(--faint); margin: 0.25rem 0 0.75rem; }
.problem { color: #c0504d; }
.table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: right; padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
`;

const script = `
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const plots = JSON.parse(document.getElementById('plots').textContent);
const charts = [];
function draw() {
  for (const chart of charts.splice(0)) chart.destroy();
  Chart.defaults.color = color('--text');
  Chart.defaults.borderColor = color('--line');
  for (const { id, config } of plots) charts.push(new Chart(document.getElementById(id), structuredClone(config)));
}
draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
`;

/** The report as one page that needs nothing else. */
export function renderReport(results: Results): string {
  const plots = plotsOf(results);
  const figures = plots.map(
    ({ id, title, explanation, height }) =>
      `<section><h2>${escapeHtml(title)}</h2><p>${escapeHtml(explanation)}</p><div style="position:relative;height:${height}px"><canvas id="${id}" role="img" aria-label="${escapeHtml(title)}"></canvas></div></section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Weft: what continuous batching buys</title>
<style>${style}</style>
</head>
<body>
<h1>What continuous batching buys</h1>
${headline(results)}
${results.isComplete ? '' : '<p class="problem">This race was not run to its end.</p>'}
${problems(results)}
${figures.join('\n')}
${runTable(results)}
<footer>${escapeHtml(provenanceOf(results))}</footer>
<script type="application/json" id="plots">${embedded(plots.map(({ id, config }) => ({ id, config })))}</script>
<script>${readFileSync(library, 'utf8')}</script>
<script>${script}</script>
</body>
</html>
`;
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

function problems({ contestants }: Results): string {
  return contestants
    .filter(({ problem }) => problem !== undefined)
    .map(({ name, problem = '' }) => `<p class="problem"><b>${escapeHtml(name)}</b>: ${escapeHtml(problem)}</p>`)
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

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** JSON that cannot end the element that it stands in. */
function embedded(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
