/**
 * The highest rate that keeps an SLO, batching on and off, and a planning sheet, as a page:
 *
 *     npm run bench:capacity [-- MODEL --slo "p95<120ms,errors<0.1%" --target-rps 200 --tune on …]
 *
 * Takes what `weft bench capacity` takes; the page is bench/results/capacity.html.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CapacityResult, renderCapacity } from './page/capacity-page.ts';
import { resultsFolder, writeResult } from './race/results.ts';

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const output = path.join(resultsFolder, 'capacity.json');
mkdirSync(resultsFolder, { recursive: true });
const args = [cli, 'bench', 'capacity', ...process.argv.slice(2), '--output', output];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
const result: CapacityResult = JSON.parse(readFileSync(output, 'utf8'));
console.log(writeResult('capacity.html', renderCapacity(result)));
