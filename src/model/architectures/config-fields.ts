import { ModelError, show } from '../../core/index.ts';
import type { JsonObject } from '../../files/index.ts';

/** A size or a count. @throws {ModelError} not a positive integer */
export function countField(config: JsonObject, key: string, defaultValue: number): number {
  const value = config[key] ?? defaultValue;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw new ModelError(`config.json: ${key} is ${show(value)}, not a positive integer`);
  }
  return value;
}

/** @throws {ModelError} neither true nor false */
export function flagField(config: JsonObject, key: string, defaultValue: boolean): boolean {
  const value = config[key] ?? defaultValue;
  if (typeof value !== 'boolean') throw new ModelError(`config.json: ${key} is ${show(value)}, not true or false`);
  return value;
}

/** One token id, or a list of them. @throws {ModelError} anything else */
export function tokenIdsField(config: JsonObject, key: string, defaultValue: number): number[] {
  const value = config[key] ?? defaultValue;
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (!ids.every(isTokenId)) throw new ModelError(`config.json: ${key} is ${show(value)}, not a token id`);
  return ids;
}

function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
