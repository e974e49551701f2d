import { type GenerateRequest, InvalidRequestError } from '../../../core/index.ts';
import type { GenerateRoute, RequestContext } from '../../dialect.ts';
import { errorBody } from '../../error-body.ts';
import { renderChat } from './chat-prompt.ts';
import { ChatReply } from './chat-reply.ts';
import { type ChatBody, chatBody, chatReplies } from './chat-schemas.ts';
import { chatErrors } from './errors.ts';
import { commonPartsOf, truncationOf } from './generation.ts';
import { checkModelName } from './model-name.ts';
import { refuseUnsupported, unsupportedInChat } from './unsupported.ts';

/** `POST /v1/chat/completions`. */
export const chatRoute: GenerateRoute<typeof chatBody> = {
  url: '/v1/chat/completions',
  dialect: 'OpenAI',
  schema: {
    summary: 'Answer a chat',
    description: 'As OpenAI publishes it, with extensions of vLLM.',
    body: chatBody,
    response: { 200: chatReplies, '4xx': errorBody, '5xx': errorBody },
  },
  toRequest,
  isStream: ({ stream }) => stream ?? false,
  createReply: (context) => new ChatReply(context),
  errors: chatErrors,
};

async function toRequest(body: ChatBody, { requestId, model, signal }: RequestContext): Promise<GenerateRequest> {
  checkModelName(body.model, model);
  refuseUnsupported(body, unsupportedInChat);
  const common = commonPartsOf(body);
  const { n = 1, max_tokens: olderName, max_completion_tokens: maxTokens = olderName } = body;
  return {
    ...common,
    id: `chatcmpl-${requestId}`,
    n,
    addSpecialTokens: body.add_special_tokens ?? false,
    truncatePromptTokens: truncationOf(body, maxTokens ?? 1, model),
    maxNewTokens: maxTokens ?? { atMost: Number.MAX_SAFE_INTEGER },
    numLogprobs: logprobsOf(body),
    // Last, since it takes the longest.
    prompts: [await renderChat(body, model, signal)],
  };
}

/** @throws {InvalidRequestError} `top_logprobs` is set without `logprobs` */
function logprobsOf({ logprobs = false, top_logprobs: numTop = 0 }: ChatBody): number | undefined {
  if (logprobs) return numTop;
  if (numTop === 0) return undefined;
  throw new InvalidRequestError(`top_logprobs is ${numTop}; it is only possible if logprobs is true`, 'top_logprobs');
}
