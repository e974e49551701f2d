import type { ReplyContext, ReplyFormat } from '../../dialect.ts';
import { CompletionParts } from './completion-parts.ts';
import type { CompletionBody } from './completion-schemas.ts';
import { CompletionStream } from './completion-stream.ts';
import { completionOf } from './whole-completion.ts';

/** The replies of `POST /v1/completions`. */
export function createCompletionReply(context: ReplyContext<CompletionBody>): ReplyFormat {
  const parts = new CompletionParts(context);
  const stream = new CompletionStream(context, parts);
  return {
    messagesOf: (event) => stream.messagesOf(event),
    bodyOf: (answer) => completionOf(answer, context, parts),
  };
}
