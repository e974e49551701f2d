import { show, UserError } from '../core/index.ts';
import { checkTogether } from './load.ts';
import type { Setting } from './setting-kinds.ts';
import { disjunction, type SettingKey, type Settings, settingKeys, settings } from './settings.ts';

/**
 * Checks settings that are given as values rather than as text. Settings that are not given are at their defaults.
 * @param keys the settings that may be given
 * @throws {UserError} an option is unknown, a value is not allowed, or values contradict each other
 */
export function loadOptions(keys: readonly SettingKey[], options: Readonly<Record<string, unknown>>): Settings {
  const given = new Map(Object.entries(options).filter(([, value]) => value !== undefined));
  const unknown = [...given.keys()].find((name) => !keys.some((key) => key === name));
  if (unknown !== undefined) {
    throw new UserError(`unknown option ${show(unknown)}; the options are ${keys.join(', ')}`);
  }
  const entries = settingKeys.map((key) => [
    key,
    given.has(key) ? checked(key, given.get(key)) : settings[key].default,
  ]);
  const loaded = Object.fromEntries(entries) as Settings;
  checkTogether(loaded, (key) => key);
  return loaded;
}

/** Allows exactly the values that can also be written as text. An option that is left out is automatic, so no value stands for that. */
function checked(key: SettingKey, value: unknown): unknown {
  const { read, alternatives, isList = false }: Setting<unknown> = settings[key];
  const accepted = isList ? readList(value, read) : read(typeof value === 'object' ? show(value) : String(value));
  if (typeof accepted === typeof value) return accepted;
  throw new UserError(`${key} is ${show(value)}; it must be ${disjunction.format(alternatives)}`);
}

/** @returns undefined if the value is not a list of allowed strings. A comma separates items when they are written, so none may contain one. */
function readList(value: unknown, read: (written: string) => unknown): unknown {
  const isPlain = Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes(','));
  return isPlain ? read(value.join(',')) : undefined;
}
