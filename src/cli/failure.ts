/** What to tell the user about a failure: one line, or the stack of a bug. This file imports nothing, since imports may be what failed. */
export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

const usageExitCode = 2;

/** Errors for the user. Compared by name, because the classes may not have been loaded. */
const userErrors: readonly string[] = ['UserError', 'ModelError'];

export function describeFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { text: String(error), exitCode: 1 };
  const isUserError = userErrors.includes(error.name);
  const message = error.message.replace(/\s*\n\s*/g, ' ');
  const shortage = shortages.find(
    ({ pattern, isInUserErrors }) => pattern.test(message) && (isInUserErrors || !isUserError),
  );
  if (shortage !== undefined) return { text: `${shortage.advice(limits())}: ${message}`, exitCode: usageExitCode };
  if (isUserError) return { text: message, exitCode: usageExitCode };
  return { text: error.stack ?? error.message, exitCode: 1 };
}

/** A resource that has run out. */
interface Shortage {
  /** Matches messages of Node.js, ONNX Runtime and the system. */
  readonly pattern: RegExp;
  /** Whether a `UserError` needs this advice too. Most say themselves what to do. */
  readonly isInUserErrors: boolean;
  advice(limits: Limits): string;
}

const shortages: readonly Shortage[] = [
  {
    pattern: /\bE[MN]FILE\b|too many open files/i,
    isInUserErrors: true,
    advice: ({ openFiles }) => `too many files are open; raise ulimit -n${now(openFiles)}`,
  },
  {
    pattern: /pthread_create|resource temporarily unavailable|ERR_WORKER_INIT_FAILED/i,
    isInUserErrors: true,
    advice: ({ processes }) =>
      `no more threads can be started; raise ulimit -u${now(processes)} or the process limit of the container`,
  },
  {
    pattern: /failed to map segment|cannot allocate memory|bad_alloc|\bENOMEM\b/i,
    isInUserErrors: true,
    advice: adviceOnMemory,
  },
  {
    pattern: /out of memory|allocation failed|the system cannot allocate/i,
    isInUserErrors: false,
    advice: adviceOnMemory,
  },
  { pattern: /\bENOSPC\b|\bEDQUOT\b/, isInUserErrors: false, advice: () => 'a disk is full; free some space' },
];

function adviceOnMemory({ addressSpaceKib }: Limits): string {
  return addressSpaceKib === undefined
    ? 'memory has run out; give the process or its container more'
    : `memory or address space has run out; raise ulimit -v${now(addressSpaceKib)}`;
}

function now(limit: number | undefined): string {
  return limit === undefined ? '' : ` (now ${limit})`;
}

/** The limits of this process, in the units of `ulimit`; undefined where there is no limit. */
interface Limits {
  readonly openFiles: number | undefined;
  readonly processes: number | undefined;
  readonly addressSpaceKib: number | undefined;
}

/** Reads the limits without opening a file. */
export function limits(): Limits {
  // Otherwise the report waits for the host names of all peers.
  Object.assign(process.report, { excludeNetwork: true });
  const report = process.report.getReport() as {
    readonly userLimits?: Readonly<Record<string, { readonly soft?: unknown }>>;
  };
  const limit = (name: string) => {
    const soft = report.userLimits?.[name]?.soft;
    return typeof soft === 'number' ? soft : undefined;
  };
  // Node 20 calls it kbytes, but the value is in bytes there, too.
  const addressSpaceBytes = limit('virtual_memory_bytes') ?? limit('virtual_memory_kbytes');
  return {
    openFiles: limit('open_files'),
    processes: limit('max_user_processes'),
    addressSpaceKib: addressSpaceBytes === undefined ? undefined : addressSpaceBytes / 1024,
  };
}
