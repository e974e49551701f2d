import { reference } from './contestants.ts';
import { medianOf, type Results } from './results.ts';

/** The race as a Markdown table: medians of the rounds. */
export function tableOf(results: Results): string {
  const header = [
    '',
    'requests/s',
    `vs. ${reference}`,
    'TTFT p95 (ms)',
    'ITL p95 (ms)',
    'mixed: tokens/s',
    'mixed: TTFT p95 (ms)',
    'errors',
    `same tokens as ${reference}`,
  ];
  const rows = results.contestants.map(({ name, description, problem, agreement }) => {
    const seed = { contestant: name, scenario: 'seed' };
    const mixed = { contestant: name, scenario: 'mixed' };
    const rate = medianOf(results, seed, ({ requestsPerSecond }) => requestsPerSecond);
    const base = medianOf(results, { ...seed, contestant: reference }, ({ requestsPerSecond }) => requestsPerSecond);
    const problems = problem === undefined ? problemsOf(results, name) : [problem];
    const ratio = rate !== undefined && base !== undefined ? `${(rate / base).toFixed(1)}x` : '';
    return [
      `**${name}**: ${description}${problems.map((each) => ` (${oneLine(each)})`).join('')}`,
      shown(rate, 1),
      ratio,
      ttftP95(results, seed),
      shown(medianOf(results, seed, ({ itl }) => itl.p95)),
      shown(medianOf(results, mixed, ({ tokensPerSecond }) => tokensPerSecond)),
      ttftP95(results, mixed),
      String(numErrors(results, name)),
      agreement === undefined ? '' : `${((100 * agreement.numSame) / agreement.numTokens).toFixed(1)} %`,
    ];
  });
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Problems in single runs of a contestant. */
export function problemsOf({ runs }: Results, contestant: string): string[] {
  const own = runs.filter((run) => run.contestant === contestant);
  const failed = own.filter(({ problem }) => problem !== undefined);
  const [first] = failed;
  return first === undefined
    ? []
    : [`${failed.length} of ${own.length} runs failed, ${first.scenario}: ${first.problem}`];
}

function numErrors({ runs }: Results, contestant: string): number {
  const own = runs.filter((run) => run.contestant === contestant);
  return own.reduce((sum, { summary }) => sum + (summary?.numErrors ?? 0), 0);
}

/** Machine, versions and date of a race, in one line. */
export function provenanceOf({ model, machine, commit, versions, startedAt, command }: Results): string {
  const { cpu, cores, memoryGiB } = machine;
  return `${model}, ${cores} cores of ${cpu}, ${memoryGiB} GiB, Node ${versions.node}, commit ${commit}, ${startedAt.slice(0, 10)} (\`${command}\`)`;
}

function shown(value: number | undefined, digits = 0): string {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits);
}

/** Marked with `>` if, in most rounds, it is the time of a request that was still waiting when the run ended. */
function ttftP95(results: Results, at: { readonly contestant: string; readonly scenario: string }): string {
  const isOpen = medianOf(results, at, ({ isTtftP95Open }) => Number(isTtftP95Open)) === 1;
  const value = shown(medianOf(results, at, ({ ttft }) => ttft.p95));
  return isOpen ? `> ${value}` : value;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '/').slice(0, 200);
}
