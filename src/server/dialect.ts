import type { IncomingHttpHeaders } from 'node:http';
import type { FastifySchema } from 'fastify';
import type { Static, TObject } from 'typebox';
import type {
  FinishedEvent,
  GenerateRequest,
  GenerationEvent,
  PromptEvent,
  ServedModel,
  ServingError,
  TokenEvent,
} from '../core/index.ts';
import type { Stopwatch } from './stopwatch.ts';

/** A server-sent event. A string is sent as it is, an object as JSON. */
export type SseMessage = string | { readonly event?: string; readonly data: object };

/** An answer that is complete. */
export interface Choice {
  readonly tokens: readonly TokenEvent[];
  readonly finished: FinishedEvent;
}

/** Everything that goes into a reply that is not streamed. */
export interface WholeReply {
  /** If the request asks for them. */
  readonly prompts: readonly PromptEvent[];
  /** In the order of their indices. */
  readonly choices: readonly Choice[];
}

/** Writes one reply as a dialect does. Each request gets its own, so it may keep state between events. */
export interface ReplyFormat {
  /** What a stream carries for one event: no message, one or several. */
  messagesOf(event: GenerationEvent): readonly SseMessage[];
  /** The body of a reply that is not streamed. */
  bodyOf(reply: WholeReply): object;
  /** Further headers of a reply that is not streamed. */
  headersOf?(reply: WholeReply): Readonly<Record<string, string>>;
}

/** What a dialect may use to understand a request. */
export interface RequestContext {
  /** The client's `x-request-id`, or a new one. */
  readonly requestId: string;
  readonly model: ServedModel;
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
}

/** What a reply may say about its request. */
export interface ReplyContext<Body> {
  readonly body: Body;
  readonly request: GenerateRequest;
  readonly model: ServedModel;
  /** Of this server. */
  readonly version: string;
  readonly stopwatch: Stopwatch;
}

/** A route that generates text: what it accepts, the request that this stands for, and the format of its replies. */
export interface GenerateRoute<Body extends TObject = TObject> {
  readonly url: string;
  /** The dialect as its users call it. */
  readonly dialect: string;
  /** A field that every body for this route has, and no body for another route at the same URL. */
  readonly marker?: string;
  readonly schema: FastifySchema & { readonly body: Body };
  /** @throws {ServingError} the body is not valid in a way that the schema cannot express */
  toRequest(body: Static<Body>, context: RequestContext): GenerateRequest | Promise<GenerateRequest>;
  /** Whether the body asks for a stream. If undefined, the `Accept` header decides. */
  isStream(body: Static<Body>): boolean | undefined;
  createReply(context: ReplyContext<Static<Body>>): ReplyFormat;
  /** How the route reports errors; names its own fields. */
  readonly errors: ErrorFormat;
}

/**
 * How a dialect reports errors: its own status codes, field names and body.
 * @param body of the request, not necessarily valid: one parameter may come from different fields
 */
export type ErrorFormat = (error: ServingError, body?: unknown) => { readonly status: number; readonly body: object };
