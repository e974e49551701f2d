import { flagOf } from '../config/index.ts';
import { type Remedy, UserError } from '../core/index.ts';

/** The error with the flags or the command that solve it added to its message, if it names a remedy. */
export function withRemedy(error: unknown): unknown {
  if (!(error instanceof UserError) || error.remedy === undefined) return error;
  return new UserError(`${error.message} (${inWords(error.remedy)})`);
}

function inWords(remedy: Remedy): string {
  return 'settings' in remedy ? remedy.settings.map(flagOf).join(', ') : commandFor[remedy.action];
}

const commandFor = { pull: 'weft models pull' } as const;
