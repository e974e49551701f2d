import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSettings, type Settings } from '../config/index.ts';

const main = realpathSync(fileURLToPath(new URL('main.js', import.meta.url)));

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings of the server to check. They come from the arguments, if there are any; else from a running `weft serve` of this
 * installation, the oldest if there are several, which in a container is the main process; else from the environment.
 * @throws {UserError} a value is not allowed
 */
export function serverSettings(args: readonly string[], environment: Environment): Settings {
  if (args.length > 0) return loadSettings(args, environment);
  const [oldest] = runningServers().sort((a, b) => a.startedAt - b.startedAt || a.id - b.id);
  return oldest === undefined
    ? loadSettings([], environment)
    : loadSettings(oldest.args, environmentOf(oldest.id) ?? environment);
}

interface RunningServer {
  readonly id: number;
  readonly args: readonly string[];
  /** In clock ticks since the machine started. */
  readonly startedAt: number;
}

/** Empty on systems without /proc. */
function runningServers(): RunningServer[] {
  const names = attempt(() => readdirSync('/proc')) ?? [];
  return names.flatMap((name) => {
    const id = Number(name);
    const args = id > 0 ? argumentsOfServer(id) : undefined;
    return args === undefined ? [] : [{ id, args, startedAt: startOf(id) }];
  });
}

/** Source: `starttime` in proc_pid_stat(5). The program's name, in parentheses, may contain anything. */
function startOf(id: number): number {
  const stat = attempt(() => readFileSync(`/proc/${id}/stat`, 'utf8')) ?? '';
  return Number(stat.slice(stat.lastIndexOf(')')).split(' ')[20] ?? Number.POSITIVE_INFINITY);
}

/** The arguments after `weft serve`; undefined for other processes. An init process that starts the server has the same command line. */
function argumentsOfServer(id: number): string[] | undefined {
  const words = wordsOf(id, 'cmdline');
  const command = words?.indexOf('serve') ?? -1;
  const program = words?.[command - 1];
  if (words === undefined || program === undefined) return undefined;
  const folder = attempt(() => readlinkSync(`/proc/${id}/cwd`)) ?? process.cwd();
  const isOurs = attempt(() => realpathSync(path.resolve(folder, program))) === main;
  return isOurs ? words.slice(command + 1) : undefined;
}

function environmentOf(id: number): Environment | undefined {
  const words = wordsOf(id, 'environ');
  return words && Object.fromEntries(words.map((word) => word.split(/=(.*)/s, 2)));
}

function wordsOf(id: number, file: 'cmdline' | 'environ'): string[] | undefined {
  return attempt(() => readFileSync(`/proc/${id}/${file}`, 'utf8').split('\0').slice(0, -1));
}

/** Processes may exit while they are inspected, and those of other users cannot be read. */
function attempt<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
