import type { PromptEvent } from '../../../core/index.ts';
import type { Choice, ReplyContext, WholeReply } from '../../dialect.ts';
import { likeliest } from '../../likeliest.ts';
import { type CompletionParts, type Echo, logprobsOf } from './completion-parts.ts';
import type { Completion, CompletionBody, CompletionChoice } from './completion-schemas.ts';
import { logprobsFormat, type PromptLogprobs, promptLogprobsOf } from './logprobs.ts';
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
    const { prompt_logprobs: numTop } = body;
    // Written once: all answers to a prompt have the same.
    const prompt = event && {
      ...parts.echoOf(event),
      event,
      promptLogprobs:
        numTop === undefined ? null : promptLogprobsOf(event, logprobsFormat(body, numTop, context.model)),
    };
    const answers = choices.slice(i * request.n, (i + 1) * request.n);
    return likeliest(answers, body.n ?? 1).map((choice) => choiceOf(choice, prompt, parts));
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

interface ReportedPrompt extends Echo {
  readonly event: PromptEvent;
  /** Null if the request does not ask for them. */
  readonly promptLogprobs: PromptLogprobs | null;
}

function choiceOf(
  { tokens, finished }: Choice,
  prompt: ReportedPrompt | undefined,
  parts: CompletionParts,
): Omit<CompletionChoice, 'index'> {
  const { returnsIds } = parts;
  const shown = parts.showsTokens ? tokens : [];
  return {
    text: (prompt?.text ?? '') + shown.map(({ text }) => text).join(''),
    logprobs: logprobsOf(shown, parts.startLogprobs(prompt), prompt),
    finish_reason: parts.finishReasonOf(finished),
    stop_reason: parts.stopReasonOf(finished),
    prompt_logprobs: prompt?.promptLogprobs ?? null,
    prompt_token_ids: returnsIds && prompt !== undefined ? [...prompt.event.tokenIds] : null,
    token_ids: returnsIds ? shown.map(({ token }) => token.id) : null,
  };
}
