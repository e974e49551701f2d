import { expect, test } from 'vitest';
import { agreementOf } from '../../../bench/race/agreement.ts';
import { withSection } from '../../../bench/race/readme.ts';
import { arrivalsOf, requestOf, scenarios } from '../../../bench/race/scenarios.ts';
import { lanesOf, stagesOf } from '../../../bench/race/stages.ts';
import { provenanceOf, tableOf } from '../../../bench/race/table.ts';
import { raceResults } from '../../support/results.ts';

test('the table has medians, the ratio to naive and problems', () => {
  const results = raceResults();
  const [, , last] = results.contestants;
  if (last !== undefined)
    Object.assign(last, { agreement: { numTokens: 4, numSame: 3 }, problem: 'it | ended\nearly' });
  const lines = tableOf(results).split('\n');
  expect(lines).toHaveLength(5);
  expect(lines[2]).toMatch(/^\| \*\*naive\*\*: the naive one \| 10\.0 \| 1\.0x \|/);
  expect(lines[4]).toMatch(/^\| \*\*continuous\*\*: the continuous one \(it \/ ended early\) \| 80\.0 \| 8\.0x \|/);
  expect(lines[4]).toMatch(/\| 0 \| 75\.0 % \|$/);
  expect(provenanceOf(results)).toBe(
    'opt-stories, 2 cores of a <fast> one, 8 GiB, Node v20.0.0, commit abc1234, 2026-01-02 (`npm run bench`)',
  );
});

test('the table marks where first tokens took longer than the run', () => {
  const results = raceResults();
  const slow = results.runs.filter(({ contestant }) => contestant === 'naive');
  for (const run of slow) Object.assign(run, { summary: run.summary && { ...run.summary, isTtftP95Open: true } });
  const [, , naive, , continuous] = tableOf(results).split('\n');
  expect(naive).toMatch(/^(\|[^|]*){3}\| > 5 \|/);
  expect(continuous).toMatch(/^(\|[^|]*){3}\| 5 \|/);
});

test('the section between the markers of the README can be replaced repeatedly', () => {
  const text = 'a\n<!-- race: written by npm run bench -- --update-readme -->\nold\n<!-- /race -->\nb\n';
  const once = withSection(text, 'new');
  expect(once).toBe('a\n<!-- race: written by npm run bench -- --update-readme -->\n\nnew\n\n<!-- /race -->\nb\n');
  expect(withSection(once, 'new')).toBe(once);
  expect(() => withSection('a', 'new')).toThrow('README.md lacks its markers');
});

test('the stages of a request add up to the time that its client measured', () => {
  const timings = {
    receive_ms: 1,
    queue_ms: 10,
    prefill_ms: 20,
    decode_ms: 50,
    detokenize_ms: 2,
    write_ms: 3,
    total_ms: 81,
  };
  const tokenAtMs = [140, 190];
  const trace = { sentAtMs: 100, endedAtMs: 200, tokenAtMs, tokenIds: [], isStreamed: true, timings, error: undefined };
  const stages = stagesOf([trace]);
  expect(stages.decode?.p50).toBe(45);
  expect(stages.network?.p50).toBe(19);
  expect(Object.values(stages).reduce((sum, { p50 }) => sum + p50, 0)).toBe(100);
  expect(lanesOf([trace], { fromMs: 90, toMs: 500 })).toEqual([
    { sentMs: 10, startedMs: 21, firstTokenMs: 50, endedMs: 110 },
  ]);
  expect(lanesOf([trace], { fromMs: 300, toMs: 500 })).toEqual([]);
});

test('agreement counts tokens that are equal at the same position', () => {
  expect(
    agreementOf(
      [[1, 2, 3], [4]],
      [
        [1, 9, 3],
        [4, 5],
      ],
    ),
  ).toEqual({ numTokens: 5, numSame: 3 });
});

test('a scenario sends the same requests every time, within its bounds', () => {
  for (const scenario of Object.values(scenarios)) {
    for (let n = 0; n < 50; n++) {
      const { prompt, maxNewTokens } = requestOf(scenario, n);
      expect(requestOf(scenario, n)).toEqual({ prompt, maxNewTokens });
      expect(prompt.length).toBeGreaterThanOrEqual(scenario.promptTokens[0]);
      expect(prompt.length).toBeLessThanOrEqual(scenario.promptTokens[1]);
      expect(maxNewTokens).toBeGreaterThanOrEqual(scenario.newTokens[0]);
      expect(maxNewTokens).toBeLessThanOrEqual(scenario.newTokens[1]);
    }
  }
  const [one, two] = [requestOf(scenarios.chat, 0), requestOf(scenarios.chat, 1)];
  expect(one.prompt.slice(0, 128)).toEqual(two.prompt.slice(0, 128));
  expect(one.prompt.slice(128)).not.toEqual(two.prompt.slice(128));
  expect(arrivalsOf(scenarios.seed, 1000)).toBeUndefined();
  expect(arrivalsOf(scenarios.burst, 2000)).toHaveLength(60);
});
