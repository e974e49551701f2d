import { messageOf } from '../core/index.ts';
import { TooLargeError, textTooLong } from './bounded-strings.ts';
import { chatLimits } from './limits.ts';
import type { RenderFailure, RenderJob, RenderReply, RenderWorkerData } from './render-job.ts';
import { type CompiledTemplate, compile, RefusedMessagesError, renderPrompt } from './render-prompt.ts';

/** Carries out jobs. */
export class JobRenderer {
  readonly #modelTemplates: ReadonlySet<string>;
  readonly #compiled = new Map<string, CompiledTemplate>();

  constructor({ modelTemplates }: RenderWorkerData) {
    this.#modelTemplates = new Set(modelTemplates);
  }

  render(job: RenderJob): RenderReply {
    try {
      const prompt = renderPrompt(this.#compile(job.template), job);
      return { prompt };
    } catch (thrown) {
      const error = isLongString(thrown) ? textTooLong() : thrown;
      return { failure: { kind: kindOf(error), reason: reasonOf(error) } };
    }
  }

  #compile(template: string): CompiledTemplate {
    const compiled = this.#compiled.get(template) ?? compile(template);
    if (this.#modelTemplates.has(template)) this.#compiled.set(template, compiled);
    return compiled;
  }
}

/** Cut first, because a template may write a long reason. */
function reasonOf(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return messageOf(reason.slice(0, chatLimits.maxReasonCharacters).toWellFormed());
}

/** JavaScript's own limit is larger than that of templates. */
function isLongString(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Invalid string length';
}

function kindOf(error: unknown): RenderFailure['kind'] {
  if (error instanceof RefusedMessagesError) return 'refused';
  return error instanceof TooLargeError ? 'too large' : 'wrong';
}
