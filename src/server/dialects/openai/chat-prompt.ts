import Type, { type Static, type TObject } from 'typebox';
import { checkWellFormed, InvalidRequestError, type ServedModel } from '../../../core/index.ts';
import { type messagesField, messagesOf } from './messages.ts';

/** Fields that say how messages become a prompt. */
export const templateFields = {
  add_generation_prompt: Type.Optional(
    Type.Boolean({
      description: 'the prompt ends with the beginning of an answer; by default, unless continue_final_message is true',
    }),
  ),
  continue_final_message: Type.Optional(
    Type.Boolean({ default: false, description: 'the last message is continued instead of answered' }),
  ),
  add_special_tokens: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'the prompt gets the special tokens of the model in addition to those of the template',
    }),
  ),
  chat_template: Type.Optional(
    Type.String({ description: "a Jinja template, or the name of one of the model's; by default the model's own" }),
  ),
  chat_template_kwargs: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { description: 'variables for the template' }),
  ),
  documents: Type.Optional(
    Type.Array(Type.Record(Type.String(), Type.Unknown()), { description: 'a variable for the template' }),
  ),
  reasoning_effort: Type.Optional(Type.String({ description: 'a variable for the template' })),
};

type TemplateBody = Static<TObject<typeof templateFields & { messages: typeof messagesField }>>;

/**
 * Renders the messages of a chat.
 * @throws {InvalidRequestError} the model has no tokenizer, or the template cannot render the messages as well-formed text
 */
export async function renderChat(body: TemplateBody, { chat }: ServedModel, signal: AbortSignal): Promise<string> {
  if (chat === undefined) {
    throw new InvalidRequestError('messages need a tokenizer, which this model does not have', 'messages');
  }
  const { continue_final_message: continueFinalMessage = false, documents, reasoning_effort: reasoningEffort } = body;
  const prompt = await chat.render(messagesOf(body.messages), {
    addGenerationPrompt: body.add_generation_prompt ?? !continueFinalMessage,
    continueFinalMessage,
    template: body.chat_template,
    variables: {
      ...(documents !== undefined && { documents }),
      ...(reasoningEffort !== undefined && { reasoning_effort: reasoningEffort }),
      ...body.chat_template_kwargs,
    },
    signal,
  });
  checkWellFormed('messages', prompt);
  return prompt;
}
