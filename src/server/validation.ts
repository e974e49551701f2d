import { Ajv } from 'ajv';
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import { InvalidRequestError, show } from '../core/index.ts';

/** What Ajv adds to its errors with `verbose`. */
interface VerboseError extends FastifySchemaValidationError {
  readonly data?: unknown;
  readonly parentSchema?: Bounds & {
    readonly description?: string;
    readonly properties?: Readonly<Record<string, unknown>>;
  };
}

/** Shared, since it compiles each schema once. */
const ajv = new Ajv({
  coerceTypes: false,
  allErrors: false,
  verbose: true,
  addUsedSchema: false,
  allowUnionTypes: true,
});

/** Validates strictly: "7" is not 7, and unknown fields are errors. Errors name the field, its value and what is allowed. */
export function createValidatorCompiler(): FastifySchemaCompiler<object> {
  return ({ schema }) => createValidator(schema);
}

export function createValidator(schema: object) {
  const validate = ajv.compile(schema);
  return (value: unknown) =>
    validate(value)
      ? { value }
      : { error: toInvalidRequest((validate.errors ?? []) as readonly VerboseError[], value) };
}

function toInvalidRequest(findings: readonly VerboseError[], body: unknown): InvalidRequestError {
  const finding = deepest(findings);
  const { keyword, params, data, parentSchema } = finding;
  const field = fieldOf(finding.instancePath, body);
  const param = field.replace(/\[.*$/, '');
  if (keyword === 'required') {
    const missing = [field, String(params.missingProperty)].filter((name) => name !== '').join('.');
    return new InvalidRequestError(`${missing} is missing`, param || missing);
  }
  if (keyword === 'additionalProperties') {
    const name = String(params.additionalProperty);
    const known = Object.keys(parentSchema?.properties ?? {}).join(', ');
    return new InvalidRequestError(`unknown field ${show(name)}; the fields are ${known}`, name);
  }
  if (field === '') return new InvalidRequestError(`the body is ${show(data)}; it must be a JSON object`);
  return new InvalidRequestError(`${field} is ${show(data)}; it must be ${allowedBy(finding)}`, param);
}

/**
 * Of a union's errors, the one deepest in the value, or else the union's own. Of two lists, the one whose later element is at fault fits
 * better, and so does the one whose element has the right type.
 */
function deepest(findings: readonly VerboseError[]): VerboseError {
  return findings.reduce((best, finding) => (fits(finding, best) ? finding : best));
}

function fits(finding: VerboseError, best: VerboseError): boolean {
  const path = finding.instancePath.split('/');
  const bestPath = best.instancePath.split('/');
  if (path.length !== bestPath.length) return path.length > bestPath.length;
  const position = Number(path.at(-1)) - Number(bestPath.at(-1));
  if (position !== 0 && !Number.isNaN(position)) return position > 0;
  return !isOfOneType(finding) || isOfOneType(best);
}

/** Whether a single type would be allowed. Otherwise the description says what is. */
function isOfOneType({ keyword, params }: VerboseError): boolean {
  return keyword === 'type' && !Array.isArray(params.type);
}

/** `/parameters/stop/1` → `parameters.stop[1]`, `/logit_bias/5` → `logit_bias["5"]` */
function fieldOf(instancePath: string, body: unknown): string {
  let value = body;
  let field = '';
  for (const segment of instancePath.split('/').slice(1)) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value)) field += `[${key}]`;
    else if (/^[a-z_]\w*$/i.test(key)) field += field === '' ? key : `.${key}`;
    else field += `[${show(key)}]`;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return field;
}

function allowedBy(finding: VerboseError): string {
  const { keyword, params, parentSchema, message } = finding;
  if (isOfOneType(finding)) return withArticle(String(params.type));
  switch (keyword) {
    case 'type':
    case 'anyOf':
    case 'propertyNames':
    case 'maxProperties':
      return parentSchema?.description ?? 'something else';
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return boundsOf(parentSchema ?? {});
    case 'minLength':
      return 'a string that is not empty';
    case 'maxLength':
      return `a string of at most ${params.limit} characters`;
    case 'minItems':
      return 'a list that is not empty';
    case 'maxItems':
      return `a list of at most ${params.limit} elements`;
    default:
      return message ?? keyword;
  }
}

interface Bounds {
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

function boundsOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Bounds): string {
  if (minimum !== undefined && maximum !== undefined) return `from ${minimum} to ${maximum}`;
  const bounds = {
    'at least': minimum,
    'greater than': exclusiveMinimum,
    'at most': maximum,
    'less than': exclusiveMaximum,
  };
  const given = Object.entries(bounds).filter(([, bound]) => bound !== undefined);
  return given.map(([words, bound]) => `${words} ${bound}`).join(' and ');
}

function withArticle(type: string): string {
  return `${/^[aeio]/.test(type) ? 'an' : 'a'} ${type}`;
}
