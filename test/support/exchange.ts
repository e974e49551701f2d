import { createParser, type EventSourceMessage } from 'eventsource-parser';

/** The status and the JSON body of a reply. */
export interface Reply {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a body of any shape
  readonly body: any;
}

/** Sends a JSON body to a URL. */
export async function send(url: string, body: unknown): Promise<Reply> {
  const response = await post(url, body);
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) };
}

/** The JSON body of a successful reply. */
export async function fetched(url: string, body: unknown): Promise<Reply['body']> {
  const reply = await send(url, body);
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
  return reply.body;
}

/** All events of a streamed reply. */
export async function eventsOf(url: string, body: unknown): Promise<EventSourceMessage[]> {
  const response = await post(url, body);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  const events: EventSourceMessage[] = [];
  createParser({ onEvent: (event) => events.push(event) }).feed(text);
  return events;
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}
