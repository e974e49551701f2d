import { InvalidRequestError } from './errors.ts';

/**
 * Checks a text, or the texts of a list.
 * @throws {InvalidRequestError} a text has half of a surrogate pair, which UTF-8 cannot express
 */
export function checkWellFormed(field: string, value: string | readonly unknown[]): void {
  const texts: readonly unknown[] = [value].flat();
  const index = texts.findIndex((text) => typeof text === 'string' && !text.isWellFormed());
  if (index < 0) return;
  const name = typeof value === 'string' ? field : `${field}[${index}]`;
  throw new InvalidRequestError(`${name} contains half of a surrogate pair; it must be well-formed text`, field);
}
