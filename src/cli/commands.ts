import { loadCommand, nearest, packageVersion } from '../config/index.ts';
import { show, UserError } from '../core/index.ts';
import { type Command, commands } from './command-table.ts';
import { helpOf, helpOfGroup, overview, usageOf } from './help.ts';
import { withRemedy } from './remedy.ts';
import type { StopSignals } from './stop-signals.ts';

/** Runs the command of a command line. @throws {UserError} there is no such command, or it fails for a reason that the user can change */
export async function runCommand(args: readonly string[], signals: StopSignals): Promise<void> {
  if (args[0] === '--version' || args[0] === '-v') return print(`${packageVersion}\n`);
  if (asksForHelp(args)) return print(helpFor(args.filter((arg) => arg !== 'help' && !arg.startsWith('-'))));
  const command = commandOf(args);
  if (command === undefined) throw unknownCommand(args);
  const line = loadCommand(command.keys, args.slice(wordsOf(command).length), process.env);
  checkOperands(command, line.operands);
  try {
    await command.run(line, signals);
  } catch (error) {
    throw withRemedy(error);
  }
}

function asksForHelp(args: readonly string[]): boolean {
  return args.length === 0 || args[0] === 'help' || args.includes('--help') || args.includes('-h');
}

function helpFor(words: readonly string[]): string {
  const [first] = words;
  if (first === undefined) return overview();
  const command = commandOf(words);
  if (command !== undefined) return helpOf(command);
  const members = membersOf(first);
  if (members.length > 0 && words.length === 1) return helpOfGroup(first, members);
  throw unknownCommand(words);
}

function commandOf(args: readonly string[]): Command | undefined {
  return commands.find((command) => wordsOf(command).every((word, i) => args[i] === word));
}

function membersOf(group: string): readonly Command[] {
  return commands.filter(({ name }) => name.startsWith(`${group} `));
}

function wordsOf({ name }: Command): string[] {
  return name.split(' ');
}

function unknownCommand([first = '', second]: readonly string[]): UserError {
  if (first.startsWith('-')) {
    return new UserError(`${show(first)} is not a command; flags follow one, as in weft serve ${first}`);
  }
  const members = membersOf(first);
  if (members.length === 0) return notFound(first, first, commands);
  if (second !== undefined && !second.startsWith('-')) return notFound(`${first} ${second}`, second, members);
  return new UserError(`weft ${first} needs a command: ${members.map(lastWordOf).join(', ')}`);
}

/** Suggests a command whose last word is spelled almost the same: `models pull` for `pul`. */
function notFound(given: string, word: string, candidates: readonly Command[]): UserError {
  const meant = nearest(word, candidates.map(lastWordOf));
  const command = candidates.find((candidate) => lastWordOf(candidate) === meant);
  const hint = command === undefined ? 'weft --help lists all commands' : `did you mean weft ${command.name}?`;
  return new UserError(`unknown command ${show(given)}; ${hint}`);
}

function lastWordOf(command: Command): string {
  return wordsOf(command).at(-1) ?? '';
}

function checkOperands(command: Command, operands: readonly string[]): void {
  const missing = command.operands[operands.length];
  if (missing !== undefined && !missing.startsWith('[')) {
    throw new UserError(`${missing} is missing; usage: ${usageOf(command)}`);
  }
  const extra = operands[command.operands.length];
  if (extra !== undefined) throw new UserError(`unexpected argument ${show(extra)}; usage: ${usageOf(command)}`);
}

function print(text: string): void {
  process.stdout.write(text);
}
