import type { FastifySchemaValidationError } from 'fastify';
import { InvalidRequestError, show } from '../core/index.ts';

/** What Ajv adds to its errors with `verbose`. */
interface VerboseError extends FastifySchemaValidationError {
  readonly data?: unknown;
  readonly parentSchema?: { readonly description?: string; readonly properties?: Readonly<Record<string, unknown>> };
}

/** Ajv as a server of strict types wants it: "7" is not 7, an unknown field is an error, and errors know the value. */
export const ajvOptions = {
  customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false, verbose: true },
} as const;

/** Ajv's findings as one error that names the field, its value and what is allowed. */
export function toInvalidRequest(findings: readonly FastifySchemaValidationError[]): InvalidRequestError {
  const finding = mostTelling(findings);
  const { keyword, params, data, parentSchema } = finding;
  const field = fieldOf(finding.instancePath);
  const param = field.replace(/\[.*$/, '');
  if (keyword === 'required') {
    const missing = String(params.missingProperty);
    return new InvalidRequestError(`${missing} is missing`, missing);
  }
  if (keyword === 'additionalProperties') {
    const name = String(params.additionalProperty);
    const known = Object.keys(parentSchema?.properties ?? {}).join(', ');
    return new InvalidRequestError(`unknown field ${show(name)}; the fields are ${known}`, name);
  }
  if (field === '') return new InvalidRequestError(`the body is ${show(data)}; it has to be a JSON object`);
  return new InvalidRequestError(`${field} is ${show(data)}; it has to be ${allowedBy(finding)}`, param);
}

/** Of a union's findings, the one deepest in the value; if none is, the union's own. */
function mostTelling(findings: readonly VerboseError[]): VerboseError {
  const depth = ({ instancePath }: VerboseError) => instancePath.split('/').length;
  return findings.reduce((best, finding) => (depth(finding) >= depth(best) ? finding : best));
}

/** `/stop/1` → `stop[1]` */
function fieldOf(instancePath: string): string {
  return instancePath.slice(1).replace(/\/(\d+)/g, '[$1]');
}

function allowedBy({ keyword, params, parentSchema, message }: VerboseError): string {
  switch (keyword) {
    case 'type':
      return withArticle(String(params.type));
    case 'anyOf':
      return parentSchema?.description ?? 'something else';
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return `${comparisons[String(params.comparison)] ?? params.comparison} ${params.limit}`;
    case 'minLength':
      return 'text that is not empty';
    case 'maxLength':
      return `of at most ${params.limit} characters`;
    case 'minItems':
      return 'a list that is not empty';
    case 'maxItems':
      return `a list of at most ${params.limit}`;
    default:
      return message ?? keyword;
  }
}

const comparisons: Readonly<Record<string, string>> = {
  '>=': 'at least',
  '<=': 'at most',
  '>': 'greater than',
  '<': 'less than',
};

function withArticle(type: string): string {
  return `${/^[aeio]/.test(type) ? 'an' : 'a'} ${type}`;
}
