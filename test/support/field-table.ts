/** A JSON Schema, as far as the documentation shows it. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
}

/** The fields of an object as a Markdown table, and what is said about the object. Fields of nested objects have dotted names. */
export function fieldTable(schema: Schema): string {
  const rows = rowsOf(schema, '');
  const table = ['| field | type | default | allowed | meaning |', '| --- | --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
  return schema.description === undefined ? table : `${table}\n\n${sentence(schema.description)}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

function rowsOf({ properties = {}, required = [] }: Schema, prefix: string): string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const type = [...new Set(typesOf(field))].join(' or ');
    const preset = required.includes(name) ? 'required' : code(field.default);
    const cells = [`\`${prefix}${name}\``, type, preset, boundsOf(field), field.description ?? ''];
    return [`| ${cells.map(cell).join(' | ')} |`, ...rowsOf(field, `${prefix}${name}.`)];
  });
}

/** The names of a field's types, without null, which every optional field may be. */
function typesOf({ type, anyOf, enum: values, const: only, items }: Schema): string[] {
  if (anyOf !== undefined) return anyOf.flatMap(typesOf);
  if (values !== undefined) return values.filter((value) => value !== null).map(code);
  if (only !== undefined) return [code(only)];
  const names = [type ?? 'any value'].flat().filter((name) => name !== 'null');
  return names.map((name) => (name === 'array' && items !== undefined ? `list of ${plural(typesOf(items))}` : name));
}

function plural(types: readonly string[]): string {
  return [...new Set(types)]
    .map((type) => (type.startsWith('list ') ? type.replace('list', 'lists') : `${type}s`))
    .join(' or of ');
}

/** What is allowed, as far as descriptions do not say it: those of unions do. */
function boundsOf(field: Schema): string {
  const bounds = [rangeOf(field), lengthOf(field), countOf(field)];
  const ofItems = field.items === undefined ? '' : boundsOf(field.items);
  return [...bounds, ofItems && `each ${ofItems}`].filter((bound) => bound !== '').join('; ');
}

function rangeOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Schema): string {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  const bounds = { 'at least': minimum, above: exclusiveMinimum, 'at most': maximum, below: exclusiveMaximum };
  return (
    Object.entries(bounds)
      // Larger ones are those of an integer type: docs/api.md says in words what such a field takes.
      .filter(([, bound]) => bound !== undefined && Math.abs(bound) <= Number.MAX_SAFE_INTEGER)
      .map(([words, bound]) => `${words} ${bound}`)
      .join(', ')
  );
}

function lengthOf({ minLength = 0, maxLength }: Schema): string {
  if (maxLength === undefined) return notEmpty(minLength);
  return minLength === 0 ? `up to ${maxLength} characters` : `${minLength} to ${maxLength} characters`;
}

function countOf({ minItems = 0, maxItems, maxProperties }: Schema): string {
  const atMost = maxItems ?? (maxProperties === undefined ? undefined : `${maxProperties} entries`);
  return [notEmpty(minItems), atMost === undefined ? '' : `up to ${atMost}`].filter((bound) => bound !== '').join(', ');
}

function notEmpty(min: number): string {
  return min > 0 ? 'not empty' : '';
}

function code(value: unknown): string {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
}
