import { show, UserError } from '../core/index.ts';

/**
 * Checks what stands behind a command beside its flags.
 * @param names how its arguments are called, in order; an optional one in brackets
 * @throws {UserError} one is missing, or one too many
 */
export function expectOperands(command: string, operands: readonly string[], names: readonly string[]): void {
  const missing = names[operands.length];
  if (missing !== undefined && !missing.startsWith('[')) throw new UserError(`${command} lacks its ${missing}`);
  const extra = operands[names.length];
  if (extra !== undefined) throw new UserError(`${command} does not know what to do with ${show(extra)}`);
}
