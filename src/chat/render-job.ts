import { type ChatMessage, messageOf } from '../core/index.ts';
import { TooLargeError, textTooLong } from './bounded-strings.ts';
import { chatLimits } from './limits.ts';
import { type CompiledTemplate, compile, RefusedMessagesError, renderPrompt } from './render-prompt.ts';

/** The messages of a chat, and how to make a prompt of them. */
export interface RenderJob {
  /** A Jinja template. */
  readonly template: string;
  readonly messages: readonly ChatMessage[];
  readonly addGenerationPrompt: boolean;
  readonly continueFinalMessage: boolean;
  /** Further variables for the template. */
  readonly variables: Readonly<Record<string, unknown>>;
}

/** Why there is no prompt. */
export interface RenderFailure {
  /** The template refuses the messages, is wrong itself, or takes too much time or memory. */
  readonly kind: 'refused' | 'wrong' | 'too large' | 'too slow';
  readonly reason: string;
}

/** The thread's reply to a job. */
export type RenderReply = { readonly prompt: string } | { readonly failure: RenderFailure };

/** The data that the thread starts with. */
export interface RenderWorkerData {
  /** Compiled once, unlike the templates of requests. */
  readonly modelTemplates: readonly string[];
}

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
      return { failure: { kind: kindOf(error), reason: messageOf(error).slice(0, chatLimits.maxReasonCharacters) } };
    }
  }

  #compile(template: string): CompiledTemplate {
    const compiled = this.#compiled.get(template) ?? compile(template);
    if (this.#modelTemplates.has(template)) this.#compiled.set(template, compiled);
    return compiled;
  }
}

/** JavaScript's own limit is larger than that of templates. */
function isLongString(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Invalid string length';
}

function kindOf(error: unknown): RenderFailure['kind'] {
  if (error instanceof RefusedMessagesError) return 'refused';
  return error instanceof TooLargeError ? 'too large' : 'wrong';
}
