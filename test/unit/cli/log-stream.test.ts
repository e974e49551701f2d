import { PassThrough } from 'node:stream';
import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { logStreamTo } from '../../../src/cli/log-stream.ts';

/** Logs a message and an error. @returns what was written at once */
async function written(logFormat: 'pretty' | 'json' | undefined, isTTY: boolean): Promise<string> {
  const output = Object.assign(new PassThrough(), { isTTY, hasColors: () => false });
  const stream = await logStreamTo(output as unknown as NodeJS.WriteStream, { logFormat });
  const { log } = fastify({ logger: { stream } });
  log.info('ready');
  log.error(new Error('out of luck'));
  return String(output.read());
}

test.each([
  [undefined, true],
  ['pretty', false],
] as const)('format %s, on a terminal: %s: readable lines, and errors with their stack', async (format, isTTY) => {
  const text = await written(format, isTTY);
  expect(text).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: ready\n\[.*\] ERROR: out of luck *\n/);
  expect(text).toMatch(/\n +at .*log-stream\.test\.ts/);
});

test.each([
  [undefined, false],
  ['json', true],
] as const)('format %s, on a terminal: %s: a JSON object per line', async (format, isTTY) => {
  const [ready, failure] = (await written(format, isTTY))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(ready).toMatchObject({ level: 30, msg: 'ready' });
  expect(failure).toMatchObject({
    level: 50,
    err: { message: 'out of luck', stack: expect.stringMatching(/\n +at /) },
  });
});
