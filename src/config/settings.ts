import { show, UserError } from '../core/index.ts';

/** How one setting is written, checked and explained. */
interface Setting<T> {
  readonly default: T;
  /** Reads what stands in a flag or an environment variable. @throws {UserError} not allowed; `name` is how the user wrote it */
  parse(text: string, name: string): T;
  /** What is allowed, for `--help`, the documentation and messages. */
  readonly allowed: string;
  readonly description: string;
  /** How the default is shown where its value does not explain itself. */
  readonly defaultText?: string;
}

/** THE declaration: flags, environment variables, `--help`, validation and docs/configuration.md are made from it. */
export const settings = {
  model: text('', 'folder of a Hugging Face OPT model; also the first argument of the command', 'the embedded model'),
  host: text('127.0.0.1', 'address to listen on; 0.0.0.0 is every interface'),
  port: integer(8080, 0, 65535, 'port to listen on; 0 picks a free one'),
  maxBatchSize: integer(50, 1, 1024, 'sequences that decode together, and slots of the KV cache'),
  batchTimeoutMs: integer(
    100,
    0,
    60_000,
    'longest that a waiting prompt is held back to be prefilled with others (ms)',
  ),
  maxModelLen: integer(0, 0, 1_048_576, 'context in tokens, prompt and output', "0, the model's own"),
  maxStepTokens: integer(
    0,
    0,
    1_048_576,
    'new tokens of one step: more than max-batch-size',
    '0, max-batch-size + 256',
  ),
  maxQueueSize: integer(512, 1, 1_000_000, 'requests that may wait; further ones are refused with 429'),
  maxBodyBytes: integer(524_288, 1024, 2 ** 30, 'largest request body; parsing one occupies the event loop'),
  threads: integer(0, 0, 1024, 'threads that run the model', '0, one per core'),
  spinning: choice('on', ['on', 'off'], 'whether idle threads of the model wait actively: quicker steps, busier cores'),
  drainTimeoutMs: integer(30_000, 0, 3_600_000, 'longest that a shutdown waits for accepted requests (ms)'),
  cacheDir: text('', 'folder for built graphs', "weft in the user's cache folder"),
  logLevel: choice('info', ['fatal', 'error', 'warn', 'info', 'debug', 'silent'], 'what is logged'),
} as const satisfies Record<string, Setting<unknown>>;

export type Settings = { readonly [Key in keyof typeof settings]: (typeof settings)[Key]['default'] };
export type SettingKey = keyof Settings;

export const settingKeys = Object.keys(settings) as SettingKey[];

/** `maxBatchSize` → `--max-batch-size`. */
export function flagOf(key: SettingKey): string {
  return `--${words(key).join('-')}`;
}

/** `maxBatchSize` → `WEFT_MAX_BATCH_SIZE`. */
export function variableOf(key: SettingKey): string {
  return `WEFT_${words(key).join('_').toUpperCase()}`;
}

function words(key: string): string[] {
  return key.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}

function integer(
  byDefault: number,
  min: number,
  max: number,
  description: string,
  defaultText?: string,
): Setting<number> {
  const allowed = `an integer from ${min} to ${max}`;
  return {
    default: byDefault,
    allowed,
    description,
    ...(defaultText !== undefined && { defaultText }),
    parse: (written, name) => {
      const value = Number(written);
      if (!/^-?\d+$/.test(written) || value < min || value > max) throw notAllowed(written, name, allowed);
      return value;
    },
  };
}

function text(byDefault: string, description: string, defaultText?: string): Setting<string> {
  const allowed = 'text';
  return {
    default: byDefault,
    allowed,
    description,
    ...(defaultText !== undefined && { defaultText }),
    parse: (written, name) => {
      if (written === '') throw notAllowed(written, name, 'text that is not empty');
      return written;
    },
  };
}

function choice<const Choice extends string>(
  byDefault: NoInfer<Choice>,
  choices: readonly Choice[],
  description: string,
): Setting<Choice> {
  const allowed = choices.join(', ');
  return {
    default: byDefault,
    allowed,
    description,
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
