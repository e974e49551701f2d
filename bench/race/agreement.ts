import { GenerateClient } from '../../src/load/index.ts';
import type { Contestant } from './measure.ts';
import type { Agreement } from './results.ts';
import { requestOf, type Scenario } from './scenarios.ts';
import type { ServerProcess } from './server-process.ts';

export interface CheckOptions {
  readonly scenarios: readonly Scenario[];
  readonly numEach: number;
  readonly signal: AbortSignal;
  /** Longest time without data from the server (ms). */
  readonly timeoutMs: number;
}

/** One server's answers to the first requests of some scenarios. @throws {Error} a request failed */
export async function answersOf(
  { url }: ServerProcess,
  { dialect, checkedDialect = dialect }: Contestant,
  { scenarios, numEach, ...options }: CheckOptions,
): Promise<(readonly number[])[]> {
  const client = new GenerateClient({ url, ...options, ...(checkedDialect && { dialect: checkedDialect }) });
  const requests = scenarios.flatMap((scenario) => Array.from({ length: numEach }, (_, n) => requestOf(scenario, n)));
  try {
    // All at once: batching must not change the tokens.
    const traces = await Promise.all(requests.map((request) => client.send(request)));
    return traces.map(({ error, tokenIds }) => {
      if (error !== undefined) throw new Error(error);
      return tokenIds;
    });
  } finally {
    client.close();
  }
}

export function agreementOf(
  answers: readonly (readonly number[])[],
  expected: readonly (readonly number[])[],
): Agreement {
  let numTokens = 0;
  let numSame = 0;
  for (const [i, tokens] of expected.entries()) {
    numTokens += tokens.length;
    numSame += tokens.filter((token, place) => answers[i]?.[place] === token).length;
  }
  return { numTokens, numSame };
}
