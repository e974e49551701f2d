/**
 * Makes a page with the highest rate that keeps an SLO, a comparison of batching on and off, and a planning sheet:
 *
 *     npm run bench:capacity [-- MODEL --slo "p95<120ms,errors<0.1%" --target-rps 200 --tune on …]
 *     npm run bench:capacity -- --sheet
 *
 * Takes the arguments of `weft bench capacity`. The page is bench/results/capacity.html. With `--sheet`, nothing is measured and the
 * page is only the planning sheet.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CapacityReport } from '../src/load/index.ts';
import { renderCapacity, renderPlanning } from './page/capacity-page.ts';
import { describeCommit, describeMachine, describeVersions, resultsFolder, writeResult } from './race/results.ts';

const page = 'capacity.html';
const args = process.argv.slice(2);
console.log(writeResult(page, args.includes('--sheet') ? renderPlanning() : measure()));

function measure(): string {
  const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const output = path.join(resultsFolder, 'capacity.json');
  mkdirSync(resultsFolder, { recursive: true });
  const command = [cli, 'bench', 'capacity', ...args, '--output', output];
  const { status } = spawnSync(process.execPath, command, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  const result: CapacityReport = JSON.parse(readFileSync(output, 'utf8'));
  const { cores, cpu } = describeMachine();
  const where = `${cores} cores of ${cpu}, Node ${describeVersions().node}, commit ${describeCommit()}`;
  return renderCapacity(result, where);
}
