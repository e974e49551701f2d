import { show, UserError } from '../core/index.ts';
import { flagOf, type SettingKey, type Settings, serveKeys, settingKeys, settings, variableOf } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings of `weft serve`: defaults, then `WEFT_*` variables, then flags.
 * @param args what follows the command: `[MODEL] --flag value --flag=value`
 * @throws {UserError} an unknown flag, or a value that is not allowed; the message names it
 */
export function loadSettings(args: readonly string[], environment: Environment): Settings {
  const { settings: loaded, operands, flags } = loadCommand(serveKeys, args, environment);
  const [second] = operands.slice(flags.has('model') ? 0 : 1);
  if (second !== undefined) throw new UserError(`there is a second model ${show(second)}: one can be served`);
  checkTogether(loaded);
  return { ...loaded, model: operands[0] ?? loaded.model };
}

/** What was given to a command. */
export interface CommandLine {
  /** Those that the command does not have are at their defaults. */
  readonly settings: Settings;
  /** The arguments that are no flags, in their order. */
  readonly operands: readonly string[];
  /** The settings that were given as flags. */
  readonly flags: ReadonlySet<SettingKey>;
}

/**
 * What a command was given that has these settings.
 * @throws {UserError} an unknown flag, or a value that is not allowed; the message names it
 */
export function loadCommand(
  keys: readonly SettingKey[],
  args: readonly string[],
  environment: Environment,
): CommandLine {
  const { written: fromFlags, operands } = fromArguments(keys, args);
  const written = new Map<SettingKey, Written>([...fromEnvironment(keys, environment), ...fromFlags]);
  const loaded = settingKeys.map((key) => {
    const given = written.get(key);
    return [key, given === undefined ? settings[key].default : settings[key].parse(given.text, given.name)];
  });
  return { settings: Object.fromEntries(loaded) as Settings, operands, flags: new Set(fromFlags.keys()) };
}

/** A value as written, and what it was written to: a flag or a variable. */
interface Written {
  readonly text: string;
  readonly name: string;
}

function checkTogether({ maxModelLen, maxStepTokens, maxBatchSize }: Settings): void {
  if (maxModelLen === 1)
    throw new UserError(`${flagOf('maxModelLen')} is 1; a prompt and its answer take 2 tokens at least`);
  if (maxStepTokens !== 0 && maxStepTokens <= maxBatchSize) {
    throw new UserError(
      `${flagOf('maxStepTokens')} is ${maxStepTokens}; it has to exceed ${flagOf('maxBatchSize')}, which is ${maxBatchSize}: every running sequence takes a token of each step`,
    );
  }
}

function fromEnvironment(keys: readonly SettingKey[], environment: Environment): [SettingKey, Written][] {
  return keys.flatMap((key): [SettingKey, Written][] => {
    const name = variableOf(key);
    const text = environment[name];
    return text === undefined || text === '' ? [] : [[key, { text, name }]];
  });
}

function fromArguments(keys: readonly SettingKey[], args: readonly string[]) {
  const keyOf = new Map(keys.map((key) => [flagOf(key), key]));
  const written = new Map<SettingKey, Written>();
  const operands: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (!arg.startsWith('-')) {
      operands.push(arg);
      continue;
    }
    const equals = arg.indexOf('=');
    const name = equals < 0 ? arg : arg.slice(0, equals);
    const key = keyOf.get(name);
    if (key === undefined) throw unknownFlag(name, [...keyOf.keys()]);
    const text = equals < 0 ? args[++i] : arg.slice(equals + 1);
    if (text === undefined || keyOf.has(text)) throw new UserError(`${name} lacks its value: ${settings[key].allowed}`);
    written.set(key, { text, name });
  }
  return { written, operands };
}

function unknownFlag(name: string, known: readonly string[]): UserError {
  const nearest = known.reduce((a, b) => (distance(name, a) <= distance(name, b) ? a : b), '');
  const hint =
    nearest !== '' && distance(name, nearest) <= 3 ? `; did you mean ${nearest}?` : ': weft --help lists what there is';
  return new UserError(`unknown flag ${show(name)}${hint}`);
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
