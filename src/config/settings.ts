import { precisions } from '../core/index.ts';
import { choice, folder, integer, list, optional, type Setting, setting, text } from './setting-kinds.ts';
import { defaultCacheDir } from './user-folders.ts';

/** Prompt tokens that a step may process by default. */
export const defaultPromptBudget = 256;

/** The one declaration of all settings: flags, variables, validation, `--help` and docs/configuration.md follow from it. */
export const settings = {
  model: optional(text(), {
    defaultText: 'the built-in model',
    description: 'Model to serve: a folder, the name of a local model, or OWNER/NAME on the Hugging Face hub.',
  }),
  revision: setting(text(/^\w(?!.*\.\.)[\w./-]*$/, ['a branch', 'a tag', 'a commit']), {
    default: 'main',
    description: 'Revision of a model on the Hugging Face hub.',
  }),
  servedModelName: optional(list(/^[^\p{Cc},]{1,256}$/u, ['comma-separated names']), {
    defaultText: "the model's name",
    description:
      'Names that requests may use for the model. The first is the one in replies. The flag may be repeated. The names tgi and dummy, which clients of TGI send, always work.',
  }),
  host: setting(text(), {
    default: '127.0.0.1',
    description: 'Address to listen on. 0.0.0.0 listens on every interface.',
  }),
  allowedHosts: setting(
    list(/^(\*|[\w-]+(\.[\w-]+)*|\[[\da-f:.]+\])$/i, ['comma-separated host names without ports', '* for any name']),
    {
      default: [],
      defaultText: 'none on loopback addresses, any on others',
      description: 'Names that a Host header may have, besides loopback names. See docs/limits.md.',
    },
  ),
  port: setting(integer(0, 65535), { default: 8080, description: 'Port to listen on. 0 picks a free port.' }),
  device: setting(text(/^(cpu|webgpu|cuda(:\d{1,3})?)$/, ['cpu', 'cuda', 'cuda:N for GPU number N', 'webgpu']), {
    default: 'cpu',
    description: 'Device to run the model on. webgpu is for testing the GPU code path.',
  }),
  precision: optional(choice(...precisions), {
    automatic: 'auto',
    defaultText: 'fp16 on CUDA, fp32 elsewhere',
    description: 'Precision to run the model in. See docs/precision.md.',
  }),
  maxBatchSize: setting(integer(1, 1024), {
    default: 50,
    description: 'Sequences that decode together. Each takes one slot of the KV cache.',
  }),
  batchTimeoutMs: setting(integer(0, 60_000), {
    default: 100,
    description: 'How long a waiting prompt may be held back to be prefilled together with others, in milliseconds.',
  }),
  maxModelLen: optional(integer(2, 1_048_576), {
    automatic: '0',
    defaultText: "the model's own limit",
    description: 'Context length in tokens: prompt and output together.',
  }),
  maxStepTokens: optional(integer(2, 1_048_576), {
    automatic: '0',
    defaultText: `max-batch-size + ${defaultPromptBudget}, less on webgpu`,
    description: 'Tokens that one step may process. Must be larger than max-batch-size.',
  }),
  maxQueueSize: setting(integer(1, 1_000_000), {
    default: 512,
    description:
      'Answers that may wait for a slot. A request for more than there is room for is refused with status 429.',
  }),
  maxPendingEvents: setting(integer(1, 1_048_576), {
    default: 4096,
    description: 'Events of each answer that may wait for a slow client. One more ends the request with an error.',
  }),
  maxConnections: setting(integer(1, 1_000_000), {
    default: 2048,
    description: 'Open connections. Further connections get status 503 and are closed.',
  }),
  maxPipelinedRequests: setting(integer(1, 10_000), {
    default: 32,
    description: 'Unanswered requests on one connection. Further requests are refused with status 429.',
  }),
  stallTimeoutMs: setting(integer(1, 3_600_000), {
    default: 30_000,
    description:
      'How long a client may read nothing while data is waiting, before its connection is cut, in milliseconds.',
  }),
  sseHeartbeatMs: setting(integer(1, 3_600_000), {
    default: 15_000,
    description: 'Interval of the comments that keep a stream open through proxies, in milliseconds.',
  }),
  maxBodyBytes: setting(integer(1024, 2 ** 30), {
    default: 524_288,
    description: 'Largest request body in bytes. Parsing a body blocks the event loop.',
  }),
  threads: optional(integer(1, 256), {
    automatic: '0',
    defaultText: 'one per core',
    description: 'Threads that run the model on the CPU.',
  }),
  spinning: setting(choice('on', 'off'), {
    default: 'on',
    description: 'Whether threads of the model spin while they wait within a step: faster steps, busier cores.',
  }),
  drainTimeoutMs: setting(integer(0, 3_600_000), {
    default: 30_000,
    description: 'How long a shutdown waits for accepted requests, in milliseconds.',
  }),
  cacheDir: optional(folder(), {
    defaultText: defaultCacheDir,
    description: 'Folder for built graphs and random models.',
  }),
  seed: setting(integer(0, 2 ** 32 - 1), {
    default: 0,
    description: 'Seed of the random weights. The same seed gives the same weights.',
  }),
  dryRun: setting(choice('on', 'off'), {
    default: 'off',
    description: 'List what would be removed, without removing anything.',
  }),
  slo: setting(text(), {
    default: 'p95<500ms,errors<0.1%',
    description:
      'Conditions to keep: p50, p90, p95 or p99 of the whole request (or with ttft. or itl. in front), and the share of errors.',
  }),
  targetRps: optional(integer(1, 10_000_000), {
    automatic: '0',
    defaultText: 'none',
    description: 'Requests per second to plan instances for.',
  }),
  promptTokens: setting(integer(1, 1_000_000), { default: 16, description: 'Tokens of each prompt.' }),
  newTokens: setting(integer(1, 1_000_000), { default: 10, description: 'Tokens to generate for each request.' }),
  probeSeconds: setting(integer(1, 3600), { default: 8, description: 'How long to try each rate, in seconds.' }),
  tune: setting(choice('on', 'off'), {
    default: 'off',
    description: 'Whether to try other batch sizes and timeouts too, at the rate of target-rps.',
  }),
  output: optional(text(), {
    defaultText: 'none',
    description:
      'File to write all measurements to, as JSON. Also compares with a server that does not batch, which takes eight more trials.',
  }),
  logLevel: setting(choice('fatal', 'error', 'warn', 'info', 'debug', 'silent'), {
    default: 'info',
    description: 'Least severe messages to log.',
  }),
  logFormat: optional(choice('pretty', 'json'), {
    automatic: 'auto',
    defaultText: 'pretty on a terminal, json elsewhere',
    description: 'Format of the log.',
  }),
} as const satisfies Record<string, Setting<unknown>>;

export type Settings = { readonly [Key in keyof typeof settings]: (typeof settings)[Key]['default'] };
export type SettingKey = keyof Settings;

export const settingKeys = Object.keys(settings) as SettingKey[];

/** The settings that only `weft models` has. */
export const modelsKeys = ['seed', 'dryRun'] as const satisfies readonly SettingKey[];

/** The settings that only `weft bench capacity` has. */
export const capacityKeys = [
  'slo',
  'targetRps',
  'promptTokens',
  'newTokens',
  'probeSeconds',
  'tune',
  'output',
] as const satisfies readonly SettingKey[];

/** The settings that `weft bench capacity` passes on to the server that it measures. */
export const capacityServerKeys = [
  'revision',
  'device',
  'precision',
  'maxBatchSize',
  'batchTimeoutMs',
  'maxModelLen',
  'maxStepTokens',
  'maxQueueSize',
  'maxBodyBytes',
  'threads',
  'spinning',
  'cacheDir',
] as const satisfies readonly SettingKey[];

const otherKeys: readonly SettingKey[] = [...modelsKeys, ...capacityKeys];

/** The settings of `weft serve`. */
export const serveKeys = settingKeys.filter((key) => !otherKeys.includes(key));

/** `maxBatchSize` → `--max-batch-size`. */
export function flagOf(key: SettingKey): string {
  return `--${words(key).join('-')}`;
}

/** `maxBatchSize` → `WEFT_MAX_BATCH_SIZE`. */
export function variableOf(key: SettingKey): string {
  return `WEFT_${words(key).join('_').toUpperCase()}`;
}

/** The values that a setting may have, as in "it must be …". */
export function allowedBy(key: SettingKey): string {
  const { automatic, alternatives }: Setting<unknown> = settings[key];
  return disjunction.format(automatic === undefined ? alternatives : [automatic, ...alternatives]);
}

export const disjunction = new Intl.ListFormat('en', { type: 'disjunction' });

/** The default of a setting as users read it, with the word that asks for it. */
export function defaultOf(key: SettingKey): string {
  const { automatic, defaultText }: Setting<unknown> = settings[key];
  return automatic === undefined ? defaultText : `${automatic} (${defaultText})`;
}

function words(key: string): string[] {
  return key.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}
