import { Writable } from 'node:stream';
import type { Settings } from '../config/index.ts';

/** Where the log of a server goes: to an output, as JSON or as readable lines. */
export async function logStreamTo(
  output: NodeJS.WriteStream,
  { logFormat = output.isTTY ? 'pretty' : 'json' }: Pick<Settings, 'logFormat'>,
): Promise<NodeJS.WritableStream> {
  if (logFormat === 'json') return output;
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({
    colorize: output.isTTY && output.hasColors(),
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
  });
  // Every line is written at once, not through a worker or a pipe: the last line before an exit is not lost.
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      output.write(pretty(line));
      done();
    },
  });
}
