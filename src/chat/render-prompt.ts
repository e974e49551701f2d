import type { ChatMessage } from '../core/index.ts';
import { BoundedInterpreter } from './bounded-interpreter.ts';
import { TooLargeError } from './bounded-strings.ts';
import { Environment, type Program, parse, type Scope, tokenize } from './jinja.ts';
import { chatLimits } from './limits.ts';
import type { RenderJob } from './render-job.ts';
import { strftime } from './strftime.ts';

/** A template that is ready to be rendered. */
export type CompiledTemplate = Program;

/** @throws {Error} the template has a syntax error */
export function compile(template: string): CompiledTemplate {
  return parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
}

/** The template refuses the messages, or they are not what it needs. */
export class RefusedMessagesError extends Error {}

/**
 * Renders as `apply_chat_template` does.
 * Source: https://github.com/huggingface/transformers, `render_jinja_template` in src/transformers/utils/chat_template_utils.py
 * @throws {RefusedMessagesError} the template calls `raise_exception`, or there is no final message to continue
 * @throws {Error} the template has another error
 */
export function renderPrompt(template: CompiledTemplate, job: Omit<RenderJob, 'template'>): string {
  const messages = job.messages.map(withoutNulls);
  return job.continueFinalMessage
    ? renderUpToFinalMessage(template, { ...job, messages })
    : render(template, { ...job, messages });
}

/** Marks the end of the final message. Trimming the message takes its last character away. */
const endMark = 'CONTINUE_FINAL_MESSAGE_TAG ';

function renderUpToFinalMessage(template: CompiledTemplate, job: Omit<RenderJob, 'template'>): string {
  const final = job.messages.at(-1);
  if (typeof final?.content !== 'string') throw new RefusedMessagesError('the last message has no content to continue');
  const marked = { ...final, content: final.content + endMark };
  const text = render(template, { ...job, messages: [...job.messages.slice(0, -1), marked] });
  const end = text.lastIndexOf(endMark.trimEnd());
  if (end < 0 || !text.includes(final.content.trim())) {
    throw new RefusedMessagesError('the last message cannot be continued: its text is not in the prompt as it is');
  }
  const prompt = text.slice(0, end);
  return text.startsWith(endMark, end) ? prompt : prompt.trimEnd();
}

function render(template: CompiledTemplate, { messages, addGenerationPrompt, variables }: Omit<RenderJob, 'template'>) {
  const scope = new Environment(globals());
  const own = { messages, add_generation_prompt: addGenerationPrompt };
  for (const [name, value] of Object.entries({ tools: null, documents: null, ...variables, ...own })) {
    scope.set(name, value);
  }
  return String(new BoundedInterpreter(scope).run(template).value);
}

/** Some clients send `null` for what they do not set. Templates expect that it is missing, and that there is content. */
function withoutNulls({ role, content, ...further }: ChatMessage): ChatMessage {
  const entries = Object.entries(further).filter(([, value]) => value !== null);
  return { role, content: content ?? '', ...Object.fromEntries(entries) };
}

function globals(): Scope {
  const environment = new Environment();
  const values = { true: true, false: false, none: null, True: true, False: false, None: null };
  for (const [name, value] of Object.entries({ ...values, ...functions })) environment.set(name, value);
  return environment;
}

const functions = {
  raise_exception: (message: unknown) => {
    const reason = typeof message === 'string' ? message : 'it gives no reason';
    throw new RefusedMessagesError(`the chat template refuses the messages: ${reason}`);
  },
  range,
  strftime_now: (format: unknown) => strftime(String(format), new Date()),
};

function range(...bounds: readonly unknown[]): number[] {
  const [first = 0, second, step = 1] = bounds.map((bound) => {
    if (Number.isInteger(bound)) return Number(bound);
    throw new Error('range() takes integers');
  });
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (step === 0) throw new Error('range() step must not be zero');
  const length = Math.max(0, Math.ceil((stop - start) / step));
  const { maxRange } = chatLimits;
  if (length > maxRange) throw new TooLargeError(`a range has ${length} elements; at most ${maxRange} are allowed`);
  return Array.from({ length }, (_, i) => start + i * step);
}
