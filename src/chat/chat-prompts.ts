import {
  type ChatMessage,
  type ChatPromptOptions,
  type ChatTemplate,
  InvalidRequestError,
  messageOf,
  type ServingError,
  show,
} from '../core/index.ts';
import { defaultTemplate } from './default-template.ts';
import { chatLimits } from './limits.ts';
import { OffLoopRenderer } from './off-loop-renderer.ts';
import type { ModelTemplates } from './read-templates.ts';
import type { RenderFailure, RenderJob, RenderWorkerData } from './render-job.ts';

export interface ChatPromptsOptions {
  /** The templates of the model, or why they cannot be used. Then every chat is refused that does not bring its own. */
  readonly model: ModelTemplates | { readonly problem: string };
  /** The text of the special tokens at the beginning of every prompt, for models without a template. */
  readonly beginning: string;
  readonly createRenderer?: (data: RenderWorkerData) => Renderer;
}

type Renderer = Pick<OffLoopRenderer, 'render' | 'dispose'>;

/** The variables that a request sets in other ways. */
const ownVariables = ['messages', 'add_generation_prompt', 'continue_final_message', 'chat_template'];

const { maxCharacters, maxInputCharacters } = chatLimits;

/** Makes prompts of chats with the templates of a model. */
export class ChatPrompts implements ChatTemplate {
  readonly #templates: ReadonlyMap<string, string>;
  readonly #problem: string | undefined;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #renderer: Renderer;
  /** For templates of requests, which may take long on purpose. Chats without one never wait for them. */
  readonly #rendererOfRequests: Renderer;

  constructor({ model, beginning, createRenderer = (data) => new OffLoopRenderer(data) }: ChatPromptsOptions) {
    if ('problem' in model) {
      this.#problem = model.problem;
      this.#templates = new Map();
      this.#variables = {};
    } else {
      const hasTemplates = model.templates.size > 0;
      this.#templates = hasTemplates ? model.templates : new Map([['default', defaultTemplate]]);
      this.#variables = hasTemplates ? model.specialTokens : { ...model.specialTokens, bos_token: beginning };
    }
    this.#renderer = createRenderer({ modelTemplates: [...this.#templates.values()] });
    this.#rendererOfRequests = createRenderer({ modelTemplates: [] });
  }

  async render(messages: readonly ChatMessage[], options: ChatPromptOptions): Promise<string> {
    const { addGenerationPrompt, continueFinalMessage, variables, signal } = options;
    checkOptions(messages, options);
    const template = this.#templateFor(options.template);
    const isOwn = template === options.template;
    const job: RenderJob = {
      template,
      messages,
      addGenerationPrompt,
      continueFinalMessage,
      variables: { ...this.#variables, ...variables },
    };
    const renderer = isOwn ? this.#rendererOfRequests : this.#renderer;
    const reply = await renderer.render(toJson(job), signal);
    if ('failure' in reply) throw errorOf(reply.failure, isOwn);
    return reply.prompt;
  }

  /** Ends the threads that render. @param reason for chats that are not rendered yet, and for later ones */
  async dispose(reason?: ServingError): Promise<void> {
    await Promise.all([this.#renderer.dispose(reason), this.#rendererOfRequests.dispose(reason)]);
  }

  /** @param asked the name of a template, or a template; undefined is the model's default */
  #templateFor(asked: string | undefined): string {
    const template = this.#templates.get(asked ?? 'default') ?? asked;
    if (template !== undefined && template.length > maxCharacters) {
      throw new InvalidRequestError(
        `chat_template has ${template.length} characters; at most ${maxCharacters} are allowed`,
        'chat_template',
      );
    }
    if (template !== undefined) return template;
    if (this.#problem !== undefined) {
      throw new InvalidRequestError(`the model's chat template cannot be used: ${this.#problem}`, 'messages');
    }
    const names = [...this.#templates.keys()].map((name) => show(name)).join(', ');
    throw new InvalidRequestError(
      `the model has no default chat template; chat_template must be one of ${names}, or a template`,
      'chat_template',
    );
  }
}

/** @throws {InvalidRequestError} */
function checkOptions(messages: readonly ChatMessage[], options: ChatPromptOptions): void {
  if (messages.length === 0) throw new InvalidRequestError('messages is empty', 'messages');
  if (options.addGenerationPrompt && options.continueFinalMessage) {
    throw new InvalidRequestError(
      'add_generation_prompt and continue_final_message are both true; a prompt either begins an answer or continues the last message',
      'continue_final_message',
    );
  }
  const variable = ownVariables.find((name) => Object.hasOwn(options.variables, name));
  if (variable === undefined) return;
  throw new InvalidRequestError(
    `chat_template_kwargs has ${variable}, which is a field of the request itself`,
    'chat_template_kwargs',
  );
}

/** @throws {InvalidRequestError} it is too large, or nested too deeply */
function toJson(job: RenderJob): string {
  const json = stringify(job);
  const numCharacters = json.length - job.template.length;
  if (numCharacters <= maxInputCharacters) return json;
  throw new InvalidRequestError(
    `messages and chat_template_kwargs have ${numCharacters} characters as JSON; at most ${maxInputCharacters} are allowed`,
    'messages',
  );
}

function stringify(job: RenderJob): string {
  try {
    return JSON.stringify(job);
  } catch (error) {
    // Deep nesting uses up the stack.
    throw new InvalidRequestError(`messages cannot be written as JSON: ${messageOf(error)}`, 'messages');
  }
}

function errorOf({ kind, reason }: RenderFailure, isOwn: boolean): InvalidRequestError {
  if (kind === 'refused') return new InvalidRequestError(reason, 'messages');
  return isOwn
    ? new InvalidRequestError(`chat_template cannot be rendered: ${reason}`, 'chat_template')
    : new InvalidRequestError(`the model's chat template cannot be rendered: ${reason}`, 'messages');
}
