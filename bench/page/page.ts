import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ChartConfiguration } from 'chart.js';

const library = fileURLToPath(new URL('../../node_modules/chart.js/dist/chart.umd.min.js', import.meta.url));

/** One plot: the chart and its texts. */
export interface Plot {
  readonly id: string;
  readonly title: string;
  readonly explanation: string;
  readonly config: ChartConfiguration<'bar'> | ChartConfiguration<'line'>;
  /** Height of the canvas in CSS pixels. */
  readonly height: number;
}

export interface Page {
  readonly title: string;
  /** HTML before the plots. */
  readonly before: string;
  readonly plots: readonly Plot[];
  /** HTML after the plots. */
  readonly after: string;
  readonly footer: string;
  /** Runs when the page has loaded. */
  readonly script?: string;
}

const style = `
:root { color-scheme: light dark; --ground: #fff; --text: #1d2126; --faint: #6a7078; --line: #d9dde2; --strong: #2e8b57; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e6e9ec; --faint: #9aa1a9; --line: #333940; --strong: #58c98a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 0; }
.ratio { font-size: clamp(4rem, 20vw, 9rem); font-weight: 800; line-height: 1; color: var(--strong); margin: 0; }
p, footer { color: var(--faint); margin: 0.25rem 0 0.75rem; }
.problem { color: #c0504d; }
.plot { position: relative; }
.table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: right; padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
form { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 0.75rem; }
label { display: grid; color: var(--faint); } input { font: inherit; padding: 0.3rem; width: 100%; }
output { font-weight: 600; color: var(--text); }
`;

const drawing = `
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

/** A self-contained page: the chart library and the data are embedded. */
export function renderPage({ title, before, plots, after, footer, script = '' }: Page): string {
  const figures = plots.map(
    (plot) => `<section>
<h2>${escapeHtml(plot.title)}</h2>
<p>${escapeHtml(plot.explanation)}</p>
<div class="plot" style="height:${plot.height}px"><canvas id="${plot.id}" role="img" aria-label="${escapeHtml(plot.title)}"></canvas></div>
</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Weft: ${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${before}
${figures.join('\n')}
${after}
<footer>${escapeHtml(footer)}</footer>
<script type="application/json" id="plots">${embedded(plots.map(({ id, config }) => ({ id, config })))}</script>
<script>${readFileSync(library, 'utf8')}</script>
<script>${drawing}${script}</script>
</body>
</html>
`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** JSON that cannot close the element around it. */
function embedded(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
