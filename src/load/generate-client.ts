import { setMaxListeners } from 'node:events';
import http from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { messageOf } from '../core/index.ts';

/** What one request asks for; generation is greedy and does not stop early. */
export interface LoadRequest {
  readonly prompt: string | readonly number[];
  readonly maxNewTokens: number;
}

/** Where the server says the time went (ms); empty where it does not say. */
export type ServerTimings = Readonly<Record<string, number>>;

/** One request as its client saw it. Times are milliseconds on the load's clock. */
export interface RequestTrace {
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  /** When each token came: all of them at the end unless the server streams. */
  readonly tokenAtMs: readonly number[];
  readonly isStreamed: boolean;
  /** As far as the server gives them. */
  readonly tokenIds: readonly number[];
  readonly timings: ServerTimings;
  /** What went wrong; undefined if nothing did. */
  readonly error: string | undefined;
}

/** How a kind of server is spoken to. */
export interface Dialect {
  readonly path: string;
  body(request: LoadRequest): Readonly<Record<string, unknown>>;
  /** Takes in one event of a stream. */
  onEvent(message: EventSourceMessage, answer: Answer): void;
}

/** What has been heard of an answer so far. */
export interface Answer {
  token(tokenId?: number): void;
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

/** Any server's `POST /v1/completions` as vLLM has it. */
export function openAiDialect(model: string): Dialect {
  return {
    path: '/v1/completions',
    body: ({ prompt, maxNewTokens }) => ({
      model,
      prompt,
      max_tokens: maxNewTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
    }),
    onEvent({ data }, answer) {
      if (data === '[DONE]') return answer.done();
      const parsed = JSON.parse(data);
      if (parsed.error !== undefined) answer.fail(parsed.error.message ?? data);
      else if (parsed.choices?.length > 0) answer.token();
    },
  };
}

export interface GenerateClientOptions {
  readonly url: string;
  readonly dialect?: Dialect;
  /** Longest that a server may be silent (ms). */
  readonly timeoutMs?: number;
  /** Cuts what is under way: that is an error in its trace. */
  readonly signal?: AbortSignal;
}

/** Sends requests to a server, over connections that are kept, and notes when what came back. */
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
    // One listener for every request under way.
    if (signal !== undefined) setMaxListeners(0, signal);
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: 1024 });
  }

  /**
   * Never throws: what goes wrong stands in the trace.
   * @param sentAtMs when it should have been sent, where that was earlier: the client's own lateness counts
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
      request.on('timeout', () => request.destroy(new Error(`nothing came for ${this.#timeoutMs} ms`)));
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

/** An answer in one piece, as Weft gives it without `stream`. */
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
  #error: string | undefined;

  token(tokenId?: number): void {
    this.#tokenAtMs.push(performance.now());
    if (tokenId !== undefined) this.#tokenIds.push(tokenId);
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
    if (!this.#isDone) this.fail('the answer ended before it was whole');
    else if (numTokens !== numExpected) this.fail(`${numTokens} tokens came instead of ${numExpected}`);
    return {
      tokenAtMs: this.#tokenAtMs,
      tokenIds: this.#tokenIds,
      isStreamed: this.isStreamed,
      timings: this.#timings,
      error: this.#error,
    };
  }
}
