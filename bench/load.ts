import http from 'node:http';

export interface LoadOptions {
  readonly url: string;
  /** Clients that send their next request when their last one is answered. */
  readonly numClients: number;
  /** Requests answered before this are not counted (ms). */
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** The body of a client's n-th request. */
  readonly body: (client: number, n: number) => unknown;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
  readonly numErrors: number;
  /** End to end, of the counted requests, ascending (ms). */
  readonly latenciesMs: readonly number[];
}

interface Counts {
  numTokens: number;
  numErrors: number;
  readonly latenciesMs: number[];
}

/** A closed loop of requests to `POST /generate`, as JSON or streamed. */
export async function closedLoop(options: LoadOptions): Promise<LoadResult> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: options.numClients });
  const start = performance.now() + options.warmUpMs;
  const end = start + options.measureMs;
  const counts: Counts = { numTokens: 0, numErrors: 0, latenciesMs: [] };
  await Promise.all(
    Array.from({ length: options.numClients }, (_, i) => client(i, options, agent, [start, end], counts)),
  );
  agent.destroy();
  const seconds = options.measureMs / 1000;
  return {
    requestsPerSecond: counts.latenciesMs.length / seconds,
    tokensPerSecond: counts.numTokens / seconds,
    numErrors: counts.numErrors,
    latenciesMs: counts.latenciesMs.sort((a, b) => a - b),
  };
}

async function client(
  index: number,
  { url, body }: LoadOptions,
  agent: http.Agent,
  [start, end]: readonly [number, number],
  counts: Counts,
): Promise<void> {
  for (let n = 0; performance.now() < end; n++) {
    const sentAt = performance.now();
    const tokens = await post(url, agent, JSON.stringify(body(index, n))).catch(() => undefined);
    const now = performance.now();
    if (tokens === undefined) counts.numErrors++;
    else if (now >= start && now < end) {
      counts.latenciesMs.push(now - sentAt);
      counts.numTokens += tokens;
    }
  }
}

/** @returns the number of tokens generated */
function post(url: string, agent: http.Agent, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = http.request(`${url}/generate`, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
        const text = Buffer.concat(chunks).toString('utf8');
        const isStream = response.headers['content-type']?.startsWith('text/event-stream');
        resolve(isStream ? text.split('event: token').length - 1 : JSON.parse(text).usage.completion_tokens);
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** The value below which this share of the ascending values lies. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(share * ascending.length))] ?? Number.NaN;
}
