import type { FastifySchema, FastifySchemaCompiler } from 'fastify';
import { InvalidRequestError } from '../core/index.ts';
import type { GenerateRoute } from './dialect.ts';
import { dropNulls } from './nulls.ts';
import { createValidator } from './validation.ts';

/** The routes of several dialects at one URL. The body tells which of them a request is for. */
export class Variants {
  readonly #routes: readonly GenerateRoute[];

  /** @param routes at least one */
  constructor(routes: readonly GenerateRoute[]) {
    this.#routes = routes;
  }

  /** The route that a body is for; undefined if it is for none, or for several. */
  find(body: unknown): GenerateRoute | undefined {
    if (this.#routes.length === 1) return this.#routes[0];
    const [found, ...others] = this.#routes.filter(({ marker }) => marker !== undefined && hasField(body, marker));
    return others.length === 0 ? found : undefined;
  }

  /** @throws {InvalidRequestError} the body is for none of the routes, or for several */
  of(body: unknown): GenerateRoute {
    const found = this.find(body);
    if (found !== undefined) return found;
    const markers = this.#routes.map(({ marker, dialect }) => `${marker} (${dialect})`).join(' or ');
    throw new InvalidRequestError(`the body must have exactly one of the fields ${markers}`);
  }

  /** Removes fields that are null from a body. */
  dropNulls(body: unknown): void {
    for (const { marker } of this.#routes) {
      if (marker !== undefined && isRecord(body) && body[marker] === null) delete body[marker];
    }
    const route = this.find(body);
    if (route !== undefined) dropNulls(body, route.schema.body);
  }

  /** Used for errors of requests whose dialect is not known. */
  get first(): GenerateRoute {
    const [first] = this.#routes;
    if (first === undefined) throw new Error('a URL without a route');
    return first;
  }

  /** Validates a body by the schema of its route. */
  validatorCompiler(): FastifySchemaCompiler<object> {
    const validators = new Map(this.#routes.map((route) => [route, createValidator(route.schema.body)]));
    return () => (body: unknown) => {
      try {
        const route = isRecord(body) && !Array.isArray(body) ? this.of(body) : this.first;
        return validators.get(route)?.(body) ?? { value: body };
      } catch (error) {
        return { error: error instanceof Error ? error : new Error(String(error)) };
      }
    };
  }

  /** All schemas in one, for the documentation. */
  schema(): FastifySchema {
    if (this.#routes.length === 1) return this.first.schema;
    const schemas = this.#routes.map(({ schema }) => schema);
    return {
      summary: schemas.map(({ summary }) => summary).join('; or: '),
      description: this.#routes
        .map(({ marker, dialect, schema }) => `With \`${marker}\` (${dialect}): ${schema.description}`)
        .join('\n\n'),
      body: { anyOf: schemas.map(({ body }) => body) },
      response: responsesOf(schemas.map(({ response }) => response as Responses)),
    };
  }
}

function hasField(body: unknown, field: string): boolean {
  return isRecord(body) && body[field] !== undefined && body[field] !== null;
}

function isRecord(body: unknown): body is Record<string, unknown> {
  return typeof body === 'object' && body !== null;
}

type Responses = Readonly<Record<string, object>>;
type Contents = Readonly<Record<string, { readonly schema: object }>>;

/** The responses of several schemas, by status and media type. */
function responsesOf(all: readonly Responses[]): Responses {
  const statuses = new Set(all.flatMap((responses) => Object.keys(responses)));
  const merged = [...statuses].map((status) => {
    const contents = all.flatMap((responses) => contentsOf(responses[status]));
    const types = new Set(contents.flatMap((content) => Object.keys(content)));
    const schemas = (type: string) => contents.flatMap((content) => (content[type] ? [content[type].schema] : []));
    const content = Object.fromEntries([...types].map((type) => [type, { schema: anyOf(schemas(type)) }]));
    return [status, { description: 'as the dialect of the request has it', content }];
  });
  return Object.fromEntries(merged);
}

function contentsOf(response: object | undefined): Contents[] {
  if (response === undefined) return [];
  if ('content' in response) return [response.content as Contents];
  return [{ 'application/json': { schema: response } }];
}

function anyOf(schemas: readonly object[]): object {
  const [first] = schemas;
  return schemas.length === 1 && first !== undefined ? first : { anyOf: schemas };
}
