import { expect, onTestFinished, test } from 'vitest';
import { Client } from '../support/client.ts';
import { RunningProgram, weft } from '../support/weft-process.ts';

/** A server whose standard output is a terminal. It prints its process id first. */
function startInTerminal(...args: readonly string[]): RunningProgram {
  const server = weft('serve', '--port', '0', ...args).map((word) => `'${word}'`);
  const script = [
    'script',
    '--quiet',
    '--flush',
    '--return',
    '--command',
    `echo pid $$; exec ${server.join(' ')}`,
  ] as const;
  const program = new RunningProgram([...script, '/dev/null'], { environment: { SHELL: '/bin/sh', NO_COLOR: '1' } });
  onTestFinished(() => program.kill('SIGKILL'));
  return program;
}

const onLinux = test.skipIf(process.platform !== 'linux');

onLinux('on a terminal the log is readable lines, and the banner comes last', async () => {
  const program = startInTerminal();
  const [shown] = await program.printed(/^[\s\S]*curl -N \S+ .*\r\n\r\n/);
  const lines = shown.split('\r\n').filter((line) => line.trim() !== '');
  expect(lines[1]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: Server listening at http:/);
  expect(lines.at(-1)).toMatch(/^ {2}curl -N /);
  expect(lines.findLastIndex((line) => line.startsWith('['))).toBeLessThan(
    lines.findIndex((line) => /^ {2}weft \d/.test(line)),
  );
  const [, url = ''] = await program.printed(/address\s+(http:\S+)\s/);
  await new Client(url).generate({ prompt: 'Once', max_new_tokens: 1 });
  expect(program.stdout).toBe(shown);
});

onLinux('the last line before the exit is not lost', async () => {
  const program = startInTerminal();
  await program.printed(/curl -N/);
  const [, id] = await program.printed(/^pid (\d+)/);
  process.kill(Number(id), 'SIGTERM');
  const { exitCode, stdout } = await program.ended;
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/INFO: SIGTERM: stopping.*\r\n$/);
});

onLinux('--log-format json logs JSON on a terminal, too', async () => {
  const program = startInTerminal('--log-format', 'json');
  await program.printed(/\n\{"level":30,.*"msg":"Server listening at http:[^\n]*\}\r\n/);
});
