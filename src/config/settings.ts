import { choice, folder, integer, list, type Setting, text } from './setting-kinds.ts';

/** THE declaration: flags, environment variables, `--help`, validation and docs/configuration.md are made from it. */
export const settings = {
  model: text({
    default: '',
    defaultText: 'the embedded model',
    description:
      'folder of a Hugging Face OPT model, name of one that is here, or OWNER/NAME on the hub; also the first argument',
  }),
  revision: text({
    default: 'main',
    pattern: /^\w(?!.*\.\.)[\w./-]*$/,
    allowed: 'the name of a branch or tag, or a commit',
    description: 'branch, tag or commit of a model of the hub',
  }),
  host: text({ default: '127.0.0.1', description: 'address to listen on; 0.0.0.0 is every interface' }),
  allowedHosts: list({
    default: [],
    defaultText: 'none; on other than loopback addresses, any',
    item: /^(\*|[\w-]+(\.[\w-]+)*|\[[\da-f:.]+\])$/i,
    allowed: 'host names without ports, separated by commas, or * for any',
    description: 'names that the Host header of a request may have besides loopback names; see docs/limits.md',
  }),
  port: integer({ default: 8080, min: 0, max: 65535, description: 'port to listen on; 0 picks a free one' }),
  device: text({
    default: 'cpu',
    pattern: /^(cpu|webgpu|cuda(:\d{1,3})?)$/,
    allowed: 'cpu, cuda, cuda:N for the device N, or webgpu',
    description: 'what the model runs on; webgpu is for tests of the way to a GPU',
  }),
  precision: choice({
    default: 'auto',
    choices: ['auto', 'fp32', 'fp16', 'int8', 'int8-fast'],
    description: 'what the model computes in; auto is fp16 on CUDA and fp32 elsewhere',
  }),
  maxBatchSize: integer({
    default: 50,
    min: 1,
    max: 1024,
    description: 'sequences that decode together, and slots of the KV cache',
  }),
  batchTimeoutMs: integer({
    default: 100,
    min: 0,
    max: 60_000,
    description: 'longest that a waiting prompt is held back to be prefilled with others (ms)',
  }),
  maxModelLen: integer({
    default: 0,
    defaultText: "0, the model's own",
    min: 0,
    max: 1_048_576,
    description: 'context in tokens, prompt and output',
  }),
  maxStepTokens: integer({
    default: 0,
    defaultText: '0, max-batch-size + 256',
    min: 0,
    max: 1_048_576,
    description: 'new tokens of one step: more than max-batch-size',
  }),
  maxQueueSize: integer({
    default: 512,
    min: 1,
    max: 1_000_000,
    description: 'requests that may wait for a slot; further ones are refused with 429',
  }),
  maxPendingEvents: integer({
    default: 4096,
    min: 1,
    max: 1_048_576,
    description: 'events of one stream that may wait for a slow client; one more ends the stream with an error',
  }),
  maxConnections: integer({
    default: 2048,
    min: 1,
    max: 1_000_000,
    description: 'connections that may be open; further ones are answered with 503 and closed',
  }),
  maxPipelinedRequests: integer({
    default: 32,
    min: 1,
    max: 10_000,
    description: 'unanswered requests of one connection; further ones are refused with 429',
  }),
  stallTimeoutMs: integer({
    default: 30_000,
    min: 1,
    max: 3_600_000,
    description: 'longest that a client may take nothing of what waits for it; then its connection is cut (ms)',
  }),
  sseHeartbeatMs: integer({
    default: 15_000,
    min: 1,
    max: 3_600_000,
    description: 'how often a stream carries a comment, so that proxies keep it open (ms)',
  }),
  maxBodyBytes: integer({
    default: 524_288,
    min: 1024,
    max: 2 ** 30,
    description: 'largest request body; parsing one occupies the event loop',
  }),
  threads: integer({
    default: 0,
    defaultText: '0, one per core',
    min: 0,
    max: 256,
    description: 'threads that run the model on the CPU',
  }),
  spinning: choice({
    default: 'on',
    choices: ['on', 'off'],
    description: 'whether threads of the model that wait during a step do so actively: quicker steps, busier cores',
  }),
  drainTimeoutMs: integer({
    default: 30_000,
    min: 0,
    max: 3_600_000,
    description: 'longest that a shutdown waits for accepted requests (ms)',
  }),
  cacheDir: folder({
    default: '',
    defaultText: "weft in the user's cache folder",
    description: 'folder for built graphs and random models',
  }),
  seed: integer({
    default: 0,
    min: 0,
    max: 2 ** 32 - 1,
    description: 'of `weft models random` only: the same seed gives the same weights',
  }),
  dryRun: choice({
    default: 'off',
    choices: ['on', 'off'],
    description: 'of `weft models prune` only: list what would be removed, and remove nothing',
  }),
  slo: text({
    default: 'p95<500ms,errors<0.1%',
    description:
      'of `weft bench capacity`: conditions on p50, p90, p95 or p99 of the whole request, of ttft. or itl., and on errors',
  }),
  targetRps: integer({
    default: 0,
    defaultText: '0, none',
    min: 0,
    max: 10_000_000,
    description: 'of `weft bench capacity`: requests per second to plan instances for',
  }),
  promptTokens: integer({
    default: 16,
    min: 1,
    max: 1_000_000,
    description: 'of `weft bench capacity`: tokens of each prompt',
  }),
  newTokens: integer({
    default: 10,
    min: 1,
    max: 1_000_000,
    description: 'of `weft bench capacity`: new tokens of each request',
  }),
  probeSeconds: integer({
    default: 8,
    min: 1,
    max: 3600,
    description: 'of `weft bench capacity`: how long each rate is tried',
  }),
  tune: choice({
    default: 'off',
    choices: ['on', 'off'],
    description: 'of `weft bench capacity`: whether batch sizes and timeouts are tried too, at target-rps',
  }),
  output: text({
    default: '',
    defaultText: 'none',
    description: 'of `weft bench capacity`: file for what was measured, as JSON',
  }),
  logLevel: choice({
    default: 'info',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'silent'],
    description: 'what is logged',
  }),
} as const satisfies Record<string, Setting<unknown>>;

export type Settings = { readonly [Key in keyof typeof settings]: (typeof settings)[Key]['default'] };
export type SettingKey = keyof Settings;

export const settingKeys = Object.keys(settings) as SettingKey[];

/** The settings of `weft bench capacity` alone. */
export const capacityKeys = [
  'slo',
  'targetRps',
  'promptTokens',
  'newTokens',
  'probeSeconds',
  'tune',
  'output',
] as const;

const otherKeys: readonly SettingKey[] = ['seed', 'dryRun', ...capacityKeys];

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

function words(key: string): string[] {
  return key.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}
