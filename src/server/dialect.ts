import type { FastifySchema } from 'fastify';
import type { Static, TObject } from 'typebox';
import type { FinishedEvent, GenerateRequest, GenerationEvent, ServingError, TokenEvent } from '../core/index.ts';
import type { Stopwatch } from './stopwatch.ts';

/** A server-sent event. A string is sent as it is, an object as JSON. */
export type SseMessage = string | { readonly event?: string; readonly data: object };

/** Writes one reply as a dialect does. Each request gets its own, so it may keep state between events. */
export interface ReplyFormat {
  /** What a stream carries for one event: no message, one or several. An `error` or `finished` event is the last one. */
  messagesOf(event: GenerationEvent): readonly SseMessage[];
  /** The body of a reply that is not streamed. */
  bodyOf(tokens: readonly TokenEvent[], finished: FinishedEvent): object;
}

/** What a reply may say about its request. */
export interface ReplyContext {
  readonly request: GenerateRequest;
  readonly modelName: string;
  readonly stopwatch: Stopwatch;
}

/** A route that generates text: what it accepts, the request that this stands for, and the format of its replies. */
export interface GenerateRoute<Body extends TObject> {
  readonly url: string;
  readonly schema: FastifySchema & { readonly body: Body };
  /** @throws {ServingError} the body is not valid in a way that the schema cannot express */
  toRequest(body: Static<Body>): GenerateRequest;
  /** Whether the body asks for a stream. If undefined, the `Accept` header decides. */
  isStream(body: Static<Body>): boolean | undefined;
  createReply(context: ReplyContext): ReplyFormat;
  /** How the route reports errors; names its own fields. */
  readonly errors: ErrorFormat;
}

/** How a dialect reports errors: its own status codes, field names and body. */
export type ErrorFormat = (error: ServingError) => { readonly status: number; readonly body: object };
