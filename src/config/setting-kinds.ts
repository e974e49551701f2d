import { show, UserError } from '../core/index.ts';
import { inHome } from './hub-environment.ts';

/** How one setting is written, checked and explained. */
export interface Setting<T> {
  readonly default: T;
  /** Reads what stands in a flag or an environment variable. @throws {UserError} not allowed; `name` is how the user wrote it */
  parse(text: string, name: string): T;
  /** What is allowed, for `--help`, the documentation and messages. */
  readonly allowed: string;
  readonly description: string;
  /** How the default is shown where its value does not explain itself. */
  readonly defaultText?: string;
}

/** What a setting says of itself; the rest follows from its kind. */
type Declared<T> = Pick<Setting<T>, 'default' | 'defaultText' | 'description'>;

export function integer({ min, max, ...declared }: Declared<number> & { min: number; max: number }): Setting<number> {
  const allowed = `an integer from ${min} to ${max}`;
  return {
    ...declared,
    allowed,
    parse: (written, name) => {
      const value = Number(written);
      if (!/^-?\d+$/.test(written) || value < min || value > max) throw notAllowed(written, name, allowed);
      return value;
    },
  };
}

export function text({
  pattern = /./s,
  allowed = 'text',
  ...declared
}: Declared<string> & { pattern?: RegExp; allowed?: string }): Setting<string> {
  return {
    ...declared,
    allowed,
    parse: (written, name) => {
      if (written === '') throw notAllowed(written, name, 'text that is not empty');
      if (!pattern.test(written)) throw notAllowed(written, name, allowed);
      return written;
    },
  };
}

/** Values separated by commas. */
export function list({
  item,
  allowed,
  ...declared
}: Declared<readonly string[]> & { item: RegExp; allowed: string }): Setting<readonly string[]> {
  return {
    ...declared,
    allowed,
    parse: (written, name) => {
      const items = written.split(',').map((part) => part.trim());
      if (!items.every((part) => item.test(part))) throw notAllowed(written, name, allowed);
      return items;
    },
  };
}

export function folder(declared: Declared<string>): Setting<string> {
  const { parse, ...setting } = text({ ...declared, allowed: 'a folder' });
  return { ...setting, parse: (written, name) => inHome(parse(written, name)) };
}

export function choice<const Choice extends string>({
  choices,
  ...declared
}: Declared<NoInfer<Choice>> & { choices: readonly Choice[] }): Setting<Choice> {
  const allowed = choices.join(', ');
  return {
    ...declared,
    allowed,
    parse: (written, name) => {
      const chosen = choices.find((candidate) => candidate === written);
      if (chosen === undefined) throw notAllowed(written, name, `one of ${allowed}`);
      return chosen;
    },
  };
}

function notAllowed(written: string, name: string, allowed: string): UserError {
  return new UserError(`${name} is ${show(written)}; it has to be ${allowed}`);
}
