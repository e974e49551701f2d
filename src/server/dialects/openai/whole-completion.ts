import type { PromptEvent } from '../../../core/index.ts';
import type { Choice, ReplyContext, WholeReply } from '../../dialect.ts';
import { likeliest } from '../../likeliest.ts';
import { type CompletionParts, type Echo, logprobsOf } from './completion-parts.ts';
import type { Completion, CompletionBody, CompletionChoice } from './completion-schemas.ts';
import { logprobsFormat, promptLogprobsOf } from './logprobs.ts';
import { UsageTotals } from './usage.ts';

/** The whole reply of `POST /v1/completions`. */
export function completionOf(
  { prompts, choices }: WholeReply,
  context: ReplyContext<CompletionBody>,
  parts: CompletionParts,
): Completion {
  const { request, body } = context;
  const { id, created, model, fingerprint } = parts;
  const totals = new UsageTotals(request.n);
  for (const { finished } of choices) totals.add(finished, parts.numTokensOf(finished));
  const chosen = request.prompts.flatMap((_, i) => {
    const event = prompts.find(({ prompt }) => prompt === i);
    const prompt = event && { ...parts.echoOf(event), event };
    const answers = choices.slice(i * request.n, (i + 1) * request.n);
    return likeliest(answers, body.n ?? 1).map((choice) => choiceOf(choice, prompt, { context, parts }));
  });
  return {
    id,
    object: 'text_completion',
    created,
    model,
    system_fingerprint: fingerprint,
    choices: chosen.map((choice, index) => ({ index, ...choice })),
    usage: totals.total(),
  };
}

function choiceOf(
  { tokens, finished }: Choice,
  prompt: (Echo & { readonly event: PromptEvent }) | undefined,
  { context, parts }: { readonly context: ReplyContext<CompletionBody>; readonly parts: CompletionParts },
): Omit<CompletionChoice, 'index'> {
  const { body, model } = context;
  const { returnsIds } = parts;
  const shown = parts.showsTokens ? tokens : [];
  return {
    text: (prompt?.text ?? '') + shown.map(({ text }) => text).join(''),
    logprobs: logprobsOf(shown, parts.startLogprobs(prompt), prompt),
    finish_reason: parts.finishReasonOf(finished),
    stop_reason: parts.stopReasonOf(finished),
    prompt_logprobs:
      body.prompt_logprobs === undefined || prompt === undefined
        ? null
        : promptLogprobsOf(prompt.event, logprobsFormat(body, body.prompt_logprobs, model)),
    prompt_token_ids: returnsIds && prompt !== undefined ? [...prompt.event.tokenIds] : null,
    token_ids: returnsIds ? shown.map(({ token }) => token.id) : null,
  };
}
