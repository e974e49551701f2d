import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { until } from './until.ts';

export interface GenerateReply {
  readonly text: string;
  readonly token_ids: readonly number[];
  readonly finish_reason: string;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
}

export interface Health {
  readonly running: number;
  readonly waiting: number;
  readonly free_slots: number;
  readonly steps: number;
}

export interface TokenData {
  readonly index: number;
  readonly token_id: number;
  readonly text: string;
}

/** A client of a running server. */
export class Client {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async post(body: unknown, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.url}/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal && { signal }),
    });
  }

  /** Resolves with the complete reply. */
  async generate(body: unknown, signal?: AbortSignal): Promise<GenerateReply> {
    const response = await this.post(body, signal);
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    return (await response.json()) as GenerateReply;
  }

  /** The events of a streamed reply, as they arrive. */
  async *stream(body: Readonly<Record<string, unknown>>, signal?: AbortSignal): AsyncGenerator<EventSourceMessage> {
    const response = await this.post({ ...body, stream: true }, signal);
    if (response.status !== 200 || response.body === null)
      throw new Error(`${response.status}: ${await response.text()}`);
    const events: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (event) => events.push(event) });
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      parser.feed(text);
      yield* events.splice(0);
    }
  }

  /** Streams a reply and assembles it into the shape of a non-streamed one. */
  async generateStreamed(body: Readonly<Record<string, unknown>>): Promise<GenerateReply> {
    const tokens: TokenData[] = [];
    for await (const { event, data } of this.stream(body)) {
      if (event === 'token') tokens.push(JSON.parse(data));
      else if (event === 'done') {
        return {
          ...JSON.parse(data),
          text: tokens.map(({ text }) => text).join(''),
          token_ids: tokens.map((t) => t.token_id),
        };
      } else throw new Error(data);
    }
    throw new Error('the stream ended without a final event');
  }

  async health(): Promise<Health> {
    return (await (await fetch(`${this.url}/health`)).json()) as Health;
  }

  /** Polls the health until it meets a condition. */
  async until(condition: (health: Health) => boolean): Promise<Health> {
    let health = await this.health();
    await until(async () => {
      health = await this.health();
      return condition(health);
    });
    return health;
  }
}
