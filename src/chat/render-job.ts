import type { ChatMessage } from '../core/index.ts';

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
