import Type, { type Static } from 'typebox';
import { type ChatMessage, InvalidRequestError, show } from '../../../core/index.ts';
import { nullable } from '../../nullable.ts';

const contentPart = Type.Object({
  type: Type.String({ description: 'text is supported' }),
  text: Type.Optional(Type.String()),
});

const message = Type.Object(
  {
    role: Type.String({ minLength: 1, description: 'such as system, user or assistant; the template decides' }),
    content: Type.Optional(
      nullable(
        Type.Union([Type.String(), Type.Array(contentPart)], {
          description: 'a string, or a list of text parts, which are joined by line breaks',
        }),
      ),
    ),
  },
  { description: 'further fields are passed on to the template' },
);

export const messagesField = Type.Array(message, { minItems: 1, description: 'the chat so far' });

type Message = Static<typeof message>;

/**
 * Messages as templates read them.
 * @throws {InvalidRequestError} a message has no content, or other content than text
 */
export function messagesOf(field: readonly Message[]): readonly ChatMessage[] {
  return field.map((each, index) => ({ ...each, content: contentOf(each, `messages[${index}]`) }));
}

/** The text of a message, null if it has none. */
function contentOf({ role, content }: Message, name: string): string | null {
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map((part, index) => textOf(part, `${name}.content[${index}]`)).join('\n');
  // An assistant that calls a tool may say nothing.
  if (role === 'assistant') return null;
  const state = content === null ? 'null' : 'missing';
  throw new InvalidRequestError(`${name}.content is ${state}; it must be a string or a list of text parts`, 'messages');
}

function textOf({ type, text }: Static<typeof contentPart>, name: string): string {
  if (type !== 'text') {
    throw new InvalidRequestError(`${name}.type is ${show(type)}; only "text" is supported`, 'messages');
  }
  if (text === undefined)
    throw new InvalidRequestError(`${name}.text is missing; a text part needs a string`, 'messages');
  return text;
}
