import {
  type FinishedEvent,
  type GenerationEvent,
  type PromptEvent,
  ServingError,
  type TokenEvent,
} from '../core/index.ts';
import type { WholeReply } from './dialect.ts';

/**
 * Gathers the whole reply; undefined if the client has disconnected.
 * @throws {ServingError} generation ended with an error
 */
export async function collect(
  events: AsyncIterable<GenerationEvent>,
  gone: AbortSignal,
): Promise<WholeReply | undefined> {
  const prompts: PromptEvent[] = [];
  const choices: { readonly tokens: TokenEvent[]; finished?: FinishedEvent }[] = [];
  const choiceOf = ({ choice }: TokenEvent | FinishedEvent) => (choices[choice] ??= { tokens: [] });
  for await (const event of events) {
    if (event.type === 'token') choiceOf(event).tokens.push(event);
    else if (event.type === 'finished') choiceOf(event).finished = event;
    else if (event.type === 'prompt') prompts.push(event);
    else throw event.error;
  }
  if (gone.reason instanceof ServingError) throw gone.reason;
  if (gone.aborted) return undefined;
  return { prompts, choices: choices.map(({ tokens, finished }) => ({ tokens, finished: expectFinished(finished) })) };
}

function expectFinished(finished: FinishedEvent | undefined): FinishedEvent {
  if (finished === undefined) throw new Error('the events of an answer ended without a last one');
  return finished;
}
