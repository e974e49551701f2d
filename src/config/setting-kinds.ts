import { inHome } from './user-folders.ts';

/** How the values of a setting are written. */
export interface Kind<T> {
  /** What is allowed, as in "it must be … or …". */
  readonly alternatives: readonly string[];
  /** Returns undefined if the value is not allowed. */
  read(written: string): T | undefined;
  /** Whether a value is a list. Its flag may be repeated. */
  readonly isList?: boolean;
}

/** One setting: what may be written, the default, and what it is for. */
export interface Setting<T> extends Kind<T> {
  readonly default: T;
  /** The default as shown to users. */
  readonly defaultText: string;
  /** Asks for the default when written as the value. */
  readonly automatic?: string;
  readonly description: string;
}

/** A setting with a fixed default. */
export function setting<T>(
  kind: Kind<T>,
  declared: { readonly default: NoInfer<T>; readonly defaultText?: string; readonly description: string },
): Setting<T> {
  return { defaultText: String(declared.default), ...kind, ...declared };
}

/** A setting that is undefined unless it is given: the program then picks a value, or does without. */
export function optional<T>(
  kind: Kind<T>,
  declared: { readonly automatic?: string; readonly defaultText: string; readonly description: string },
): Setting<T | undefined> {
  return { ...kind, ...declared, default: undefined };
}

export function integer(min: number, max: number): Kind<number> {
  return {
    alternatives: [`an integer from ${min} to ${max}`],
    read: (written) => {
      const value = Number(written);
      return /^-?\d+$/.test(written) && value >= min && value <= max ? value : undefined;
    },
  };
}

export function text(pattern = /./s, alternatives: readonly string[] = ['text']): Kind<string> {
  return { alternatives, read: (written) => (pattern.test(written) ? written : undefined) };
}

/** Values separated by commas. */
export function list(item: RegExp, alternatives: readonly string[]): Kind<readonly string[]> {
  return {
    alternatives,
    isList: true,
    read: (written) => {
      const items = written.split(',').map((part) => part.trim());
      return items.every((part) => item.test(part)) ? items : undefined;
    },
  };
}

/** The path of a folder. `~` is the user's home folder. */
export function folder(): Kind<string> {
  return { alternatives: ['a folder'], read: (written) => (written === '' ? undefined : inHome(written)) };
}

export function choice<const Choice extends string>(...choices: readonly Choice[]): Kind<Choice> {
  return { alternatives: choices, read: (written) => choices.find((candidate) => candidate === written) };
}
