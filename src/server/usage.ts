import Type, { type Static } from 'typebox';

export const usage = Type.Object({
  prompt_tokens: Type.Integer({ description: 'of every prompt once, whatever n is' }),
  completion_tokens: Type.Integer({ description: 'of all answers' }),
  total_tokens: Type.Integer(),
});

export type Usage = Static<typeof usage>;

export function usageOf(promptTokens: number, completionTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
