import { expect, test } from 'vitest';
import { Machine } from '../support/machine.ts';

test('weft bench capacity finds the rate that a real server sustains, and plans the instances', async () => {
  const machine = await Machine.create();
  const flags = ['--slo', 'p95<1s,errors<5%', '--max-batch-size', '1', '--target-rps', '100', '--probe-seconds', '1'];
  const { stdout } = await machine.succeed('bench', 'capacity', ...flags, '--new-tokens', '60');
  expect(stdout).toMatch(/^SLO +p95<1s,errors<5%$/m);
  expect(stdout).toMatch(/^highest rate +[\d.]+ requests\/s$/m);
  expect(stdout).toMatch(/^safe rate +[\d.]+ requests\/s = 0\.7 x [\d.]+$/m);
  expect(stdout).toMatch(/^instances +\d+ = ⌈100 x 1\.2 \/ [\d.]+⌉$/m);
});

test.each([
  [['--slo', 'quick'], 'the SLO has "quick"; it must be like p95<120ms'],
  [['--tune', 'on'], '--tune tries batch sizes at one rate; give the rate with --target-rps'],
  [['one', 'two'], 'unexpected argument "two"; usage: weft bench capacity [MODEL] [FLAGS]'],
  [['no-such-model'], 'no-such-model'],
])('weft bench capacity refuses %j', async (args, message) => {
  const machine = await Machine.create();
  expect(await machine.fail(['bench', 'capacity', ...args])).toContain(message);
});
