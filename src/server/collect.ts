import { type GenerationEvent, ServingError, type TokenEvent } from '../core/index.ts';
import type { ReplyFormat } from './dialect.ts';

/**
 * The body of a whole reply; undefined if the client has disconnected.
 * @throws {ServingError} generation ended with an error
 */
export async function collect(
  events: AsyncIterable<GenerationEvent>,
  { format, gone }: { readonly format: ReplyFormat; readonly gone: AbortSignal },
): Promise<object | undefined> {
  const tokens: TokenEvent[] = [];
  for await (const event of events) {
    if (event.type === 'token') tokens.push(event);
    else if (event.type === 'error') throw event.error;
    else return format.bodyOf(tokens, event);
  }
  if (gone.reason instanceof ServingError) throw gone.reason;
  return undefined;
}
