import { show, UserError } from '../core/index.ts';
import type { Environment } from './environment.ts';
import { nearest } from './nearest.ts';
import type { Setting } from './setting-kinds.ts';
import {
  allowedBy,
  flagOf,
  type SettingKey,
  type Settings,
  serveKeys,
  settingKeys,
  settings,
  variableOf,
} from './settings.ts';

/** The arguments of a command. */
export interface CommandLine {
  /** Settings that the command does not have are at their defaults. */
  readonly settings: Settings;
  /** The arguments that are not flags, in order. */
  readonly operands: readonly string[];
  /** The settings that were given as flags. */
  readonly flags: ReadonlySet<SettingKey>;
}

/**
 * Reads the arguments of a command. A setting comes from its flag, else from its `WEFT_*` variable, else from its default.
 * @param keys the settings that the command has
 * @throws {UserError} a flag is unknown, or a value is not allowed
 */
export function loadCommand(
  keys: readonly SettingKey[],
  args: readonly string[],
  environment: Environment,
): CommandLine {
  const { written: fromFlags, operands } = fromArguments(keys, args);
  const written = new Map<SettingKey, Written>([...fromEnvironment(keys, environment), ...fromFlags]);
  const loaded = settingKeys.map((key) => [key, settingValue(key, written.get(key))]);
  return { settings: Object.fromEntries(loaded) as Settings, operands, flags: new Set(fromFlags.keys()) };
}

/**
 * Reads the arguments of `weft serve`.
 * @throws {UserError} a flag is unknown, a value is not allowed, or values contradict each other
 */
export function loadSettings(args: readonly string[], environment: Environment): Settings {
  return serveSettings(loadCommand(serveKeys, args, environment));
}

/** The settings of `weft serve`, whose model may be given as an operand. @throws {UserError} values contradict each other */
export function serveSettings({ settings: loaded, operands, flags }: CommandLine): Settings {
  const [second] = operands.slice(flags.has('model') ? 0 : 1);
  if (second !== undefined) throw new UserError(`${show(second)} is a second model; only one can be served`);
  checkTogether(loaded, flagOf);
  return { ...loaded, model: operands[0] ?? loaded.model };
}

/** How messages name a setting: as a flag, or as an option of the library. */
export type NameOf = (setting: SettingKey) => string;

/** @throws {UserError} values contradict each other */
export function checkTogether({ maxStepTokens, maxBatchSize }: Settings, nameOf: NameOf): void {
  if (maxStepTokens === undefined || maxStepTokens > maxBatchSize) return;
  throw new UserError(
    `${nameOf('maxStepTokens')} is ${maxStepTokens}; it must be larger than ${nameOf('maxBatchSize')}, which is ${maxBatchSize}, because every running sequence takes one token of each step`,
  );
}

/** A value as written, and the flag or variable that it was given to. */
interface Written {
  readonly text: string;
  readonly name: string;
}

function settingValue(key: SettingKey, written: Written | undefined): Settings[SettingKey] {
  const setting: Setting<Settings[SettingKey]> = settings[key];
  if (written === undefined || written.text === setting.automatic) return setting.default;
  const value = setting.read(written.text);
  if (value !== undefined) return value;
  throw new UserError(`${written.name} is ${show(written.text)}; it must be ${allowedBy(key)}`);
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
    if (text === undefined || keyOf.has(text)) throw new UserError(`${name} needs a value: ${allowedBy(key)}`);
    const { isList = false }: Setting<unknown> = settings[key];
    const before = isList ? written.get(key) : undefined;
    written.set(key, { text: before === undefined ? text : `${before.text},${text}`, name });
  }
  return { written, operands };
}

function unknownFlag(name: string, known: readonly string[]): UserError {
  const meant = nearest(name, known);
  return new UserError(
    `unknown flag ${show(name)}; ${meant === undefined ? '--help lists all flags' : `did you mean ${meant}?`}`,
  );
}
