import { setMaxListeners } from 'node:events';
import http from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { messageOf } from '../core/index.ts';

/** One request. Generation is greedy and does not stop early. */
export interface LoadRequest {
  readonly prompt: string | readonly number[];
  readonly maxNewTokens: number;
}

/** The server's own timings in milliseconds; empty if it reports none. */
export type ServerTimings = Readonly<Record<string, number>>;

/** One request as its client saw it. Times are in milliseconds on the clock of the load run. */
export interface RequestTrace {
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  /** When each token arrived. Without streaming, all arrive at the end. */
  readonly tokenAtMs: readonly number[];
  readonly isStreamed: boolean;
  /** Empty if the server does not report them. */
  readonly tokenIds: readonly number[];
  readonly timings: ServerTimings;
  /** The problem, if the request failed. */
  readonly error: string | undefined;
}

/** How to talk to a kind of server. */
export interface Dialect {
  readonly path: string;
  body(request: LoadRequest): Readonly<Record<string, unknown>>;
  /** Handles one event of a stream. */
  onEvent(message: EventSourceMessage, answer: Answer): void;
}

/** Collects the parts of an answer. */
export interface Answer {
  token(tokenId?: number): void;
  /** How many tokens the server says it has sent. Any other number of events is an error. */
  usage(numTokens: number): void;
  done(timings?: ServerTimings): void;
  fail(message: string): void;
}

/** Weft's own `POST /generate`. */
export const weftDialect: Dialect = {
  path: '/generate',
  body: ({ prompt, maxNewTokens }) => ({ prompt, max_new_tokens: maxNewTokens, ignore_eos: true, stream: true }),
  onEvent({ event, data }, answer) {
    const parsed = JSON.parse(data);
    if (event === 'token') answer.token(parsed.token_id);
    else if (event === 'done') answer.done(parsed.timings);
    else answer.fail(parsed.error?.message ?? data);
  },
};

/**
 * `POST /v1/completions` with vLLM's extensions, as benchmarks use it: each chunk with a choice is one token, which the usage has to confirm.
 * @param extensions further fields of the body, such as `return_token_ids`
 */
export function openAiDialect(model: string, extensions: Readonly<Record<string, unknown>> = {}): Dialect {
  const returnsIds = extensions.return_token_ids === true;
  return {
    path: '/v1/completions',
    body: ({ prompt, maxNewTokens }) => ({
      model,
      prompt,
      max_tokens: maxNewTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
      ...extensions,
    }),
    onEvent({ data }, answer) {
      if (data === '[DONE]') return answer.done();
      // Most chunks tell no more than that a token has come. Parsing them all would cost the client more than a server needs to write them.
      if (isPlainToken(data) && !returnsIds) return answer.token();
      const { choices: [choice] = [], usage, error } = JSON.parse(data);
      if (error !== undefined) return answer.fail(error.message ?? data);
      if (choice !== undefined) answer.token(choice.token_ids?.[0]);
      else if (usage) answer.usage(usage.completion_tokens);
    },
  };
}

/** Whether a chunk has a choice. Errors begin otherwise, and quotes within texts are escaped. */
function isPlainToken(data: string): boolean {
  return data.startsWith('{"id":') && data.includes('"choices":[{');
}

export interface GenerateClientOptions {
  readonly url: string;
  readonly dialect?: Dialect;
  /** How long a server may be silent. */
  readonly timeoutMs?: number;
  /** Aborts the requests in flight. Their traces report an error. */
  readonly signal?: AbortSignal;
}

/** Sends requests to a server over persistent connections, and records when each part of the answer arrives. */
export class GenerateClient {
  readonly #url: string;
  readonly #dialect: Dialect;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #agent: http.Agent;

  constructor({ url, dialect = weftDialect, timeoutMs = 120_000, signal }: GenerateClientOptions) {
    this.#url = url;
    this.#dialect = dialect;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    // Every request in flight adds a listener.
    if (signal !== undefined) setMaxListeners(0, signal);
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: 1024 });
  }

  /**
   * Never throws: the trace reports what went wrong.
   * @param sentAtMs when the request should have been sent. If the client is late, its delay counts too.
   */
  async send(request: LoadRequest, sentAtMs = performance.now()): Promise<RequestTrace> {
    const heard = new Heard();
    try {
      await this.#exchange(JSON.stringify(this.#dialect.body(request)), heard);
    } catch (error) {
      heard.fail(messageOf(error));
    }
    return { sentAtMs, endedAtMs: performance.now(), ...heard.result(request.maxNewTokens) };
  }

  close(): void {
    this.#agent.destroy();
  }

  #exchange(body: string, heard: Heard): Promise<void> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const options = {
        method: 'POST',
        agent: this.#agent,
        headers,
        timeout: this.#timeoutMs,
        ...(this.#signal && { signal: this.#signal }),
      };
      const request = http.request(this.#url + this.#dialect.path, options, (response) => {
        response.setEncoding('utf8');
        response.on('error', reject);
        response.on('end', resolve);
        const isStream = response.headers['content-type']?.startsWith('text/event-stream');
        if (response.statusCode !== 200) readWhole(response, (text) => heard.fail(refusal(response, text)));
        else if (isStream) this.#readEvents(response, heard);
        else readWhole(response, (text) => readReply(text, heard));
      });
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error(`no data for ${this.#timeoutMs} ms`)));
      request.end(body);
    });
  }

  #readEvents(response: http.IncomingMessage, heard: Heard): void {
    heard.isStreamed = true;
    const parser = createParser({ onEvent: (message) => this.#dialect.onEvent(message, heard) });
    response.on('data', (text: string) => {
      try {
        parser.feed(text);
      } catch (error) {
        response.destroy(error instanceof Error ? error : new Error(messageOf(error)));
      }
    });
  }
}

function readWhole(response: http.IncomingMessage, use: (text: string) => void): void {
  let text = '';
  response.on('data', (part: string) => {
    text += part;
  });
  response.on('end', () => use(text));
}

function refusal({ statusCode }: http.IncomingMessage, text: string): string {
  return `status ${statusCode}: ${text.slice(0, 200)}`;
}

/** A reply without streaming, in Weft's format. */
function readReply(text: string, heard: Heard): void {
  try {
    const { token_ids: tokenIds, timings } = JSON.parse(text);
    for (const tokenId of tokenIds) heard.token(tokenId);
    heard.done(timings);
  } catch (error) {
    heard.fail(`${messageOf(error)}: ${text.slice(0, 200)}`);
  }
}

class Heard implements Answer {
  isStreamed = false;
  readonly #tokenAtMs: number[] = [];
  readonly #tokenIds: number[] = [];
  #timings: ServerTimings = {};
  #isDone = false;
  #numSent: number | undefined;
  #error: string | undefined;

  token(tokenId?: number): void {
    this.#tokenAtMs.push(performance.now());
    if (tokenId !== undefined) this.#tokenIds.push(tokenId);
  }

  usage(numTokens: number): void {
    this.#numSent = numTokens;
  }

  done(timings: ServerTimings = {}): void {
    this.#isDone = true;
    this.#timings = timings;
  }

  fail(message: string): void {
    this.#error ??= message;
  }

  result(numExpected: number) {
    const numTokens = this.#tokenAtMs.length;
    if (!this.#isDone) this.fail('the answer is incomplete');
    else if (this.#numSent !== undefined && this.#numSent !== numTokens) {
      this.fail(`got ${this.#numSent} tokens in ${numTokens} events`);
    } else if (numTokens !== numExpected) this.fail(`got ${numTokens} tokens instead of ${numExpected}`);
    return {
      tokenAtMs: this.#tokenAtMs,
      tokenIds: this.#tokenIds,
      isStreamed: this.isStreamed,
      timings: this.#timings,
      error: this.#error,
    };
  }
}
