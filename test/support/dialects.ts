import { eventsOf, fetched, type Reply } from './exchange.ts';

/** What a client wants, in no dialect yet. Every field that a dialect lacks has a value that is off. */
export interface Wish {
  readonly prompt: string;
  readonly maxNewTokens: number;
  /** Undefined is greedy. */
  readonly sampled: { readonly temperature: number; readonly seed: number } | undefined;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly logitBias: Readonly<Record<string, number>>;
  readonly allowedTokenIds: readonly number[] | undefined;
  readonly stop: readonly string[];
  readonly includeStop: boolean;
  readonly ignoreEos: boolean;
  readonly n: number;
}

/** One answer, whatever the dialect. */
export interface Outcome {
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly number[];
  readonly finish: 'stop' | 'length';
}

/** How to ask in a dialect, and what came back: the outcomes of a whole reply, and of a stream put together. */
export interface TestedDialect {
  readonly name: string;
  /** Whether it can express a wish. */
  takes(wish: Wish): boolean;
  whole(url: string, wish: Wish): Promise<readonly Outcome[]>;
  streamed(url: string, wish: Wish): Promise<readonly Outcome[]>;
}

type Json = Reply['body'];

/** The fields that Weft and OpenAI spell alike. */
function sharedFields({ sampled, ...wish }: Wish): object {
  return {
    prompt: wish.prompt,
    temperature: sampled?.temperature ?? 0,
    seed: sampled?.seed ?? 0,
    top_k: wish.topK,
    top_p: wish.topP,
    min_p: wish.minP,
    typical_p: wish.typicalP,
    repetition_penalty: wish.repetitionPenalty,
    presence_penalty: wish.presencePenalty,
    frequency_penalty: wish.frequencyPenalty,
    logit_bias: wish.logitBias,
    ...(wish.allowedTokenIds && { allowed_token_ids: wish.allowedTokenIds }),
    stop: wish.stop,
    ignore_eos: wish.ignoreEos,
    n: wish.n,
  };
}

/** Puts the parts of several answers together. */
class Parts {
  readonly #outcomes: { text: string; tokenIds: number[]; logprobs: number[]; finish: Outcome['finish'] | undefined }[];

  constructor(n: number) {
    this.#outcomes = Array.from({ length: n }, () => ({ text: '', tokenIds: [], logprobs: [], finish: undefined }));
  }

  add(choice: number, text: string, token?: { readonly id: number; readonly logprob: number }): void {
    const outcome = this.#at(choice);
    outcome.text += text;
    if (token === undefined) return;
    outcome.tokenIds.push(token.id);
    outcome.logprobs.push(token.logprob);
  }

  finish(choice: number, reason: Outcome['finish']): void {
    this.#at(choice).finish = reason;
  }

  /** @throws {Error} an answer has not ended */
  all(): Outcome[] {
    return this.#outcomes.map(({ finish, ...outcome }) => {
      if (finish === undefined) throw new Error('the stream ended before the answer did');
      return { ...outcome, finish };
    });
  }

  #at(choice: number) {
    const outcome = this.#outcomes[choice];
    if (outcome === undefined) throw new Error(`there is a choice ${choice}`);
    return outcome;
  }
}

function weftBody(wish: Wish): object {
  return {
    ...sharedFields(wish),
    max_new_tokens: wish.maxNewTokens,
    include_stop: wish.includeStop,
    logprobs: 0,
  };
}

export const weft: TestedDialect = {
  name: 'Weft',
  takes: () => true,
  async whole(url, wish) {
    const body = await fetched(`${url}/generate`, weftBody(wish));
    return (body.choices ?? [body]).map((choice: Json) => ({
      text: choice.text,
      tokenIds: choice.token_ids,
      logprobs: choice.logprobs.map(({ logprob }: Json) => logprob),
      finish: choice.finish_reason,
    }));
  },
  async streamed(url, wish) {
    const parts = new Parts(wish.n);
    for (const { event, data } of await eventsOf(`${url}/generate`, { ...weftBody(wish), stream: true })) {
      const { choice = 0, text, token_id: id, logprobs, finish_reason: reason }: Json = JSON.parse(data);
      if (event === 'token') parts.add(choice, text, { id, logprob: logprobs.logprob });
      else if (reason !== undefined) parts.finish(choice, reason);
      else if (event !== 'done') throw new Error(data);
    }
    return parts.all();
  },
};

function openAiFields({ includeStop }: Wish): object {
  return { include_stop_str_in_output: includeStop, return_token_ids: true };
}

/** The choices of the chunks of a stream, up to its end. */
async function choicesOf(url: string, body: object): Promise<Json[]> {
  const events = await eventsOf(url, { ...body, stream: true });
  if (events.pop()?.data !== '[DONE]') throw new Error('the stream has no [DONE]');
  return events.flatMap(({ data }) => {
    const { choices, error } = JSON.parse(data);
    if (error !== undefined) throw new Error(data);
    return choices;
  });
}

function completionBody(wish: Wish): object {
  return { ...sharedFields(wish), ...openAiFields(wish), max_tokens: wish.maxNewTokens, logprobs: 0 };
}

export const completions: TestedDialect = {
  name: 'OpenAI completions',
  takes: () => true,
  async whole(url, wish) {
    const { choices } = await fetched(`${url}/v1/completions`, completionBody(wish));
    return choices.map((choice: Json) => ({
      text: choice.text,
      tokenIds: choice.token_ids,
      logprobs: choice.logprobs.token_logprobs,
      finish: choice.finish_reason,
    }));
  },
  async streamed(url, wish) {
    const parts = new Parts(wish.n);
    for (const choice of await choicesOf(`${url}/v1/completions`, completionBody(wish))) {
      const [id] = choice.token_ids;
      const [logprob] = choice.logprobs.token_logprobs;
      parts.add(choice.index, choice.text, { id, logprob });
      if (choice.finish_reason !== null) parts.finish(choice.index, choice.finish_reason);
    }
    return parts.all();
  },
};

/** The prompt as a chat. */
export function messagesOf({ prompt }: Wish): readonly object[] {
  return [{ role: 'user', content: prompt }];
}

function chatBody(wish: Wish): object {
  const { prompt: _, ...fields } = sharedFields(wish) as Json;
  const limits = { max_completion_tokens: wish.maxNewTokens, logprobs: true };
  return { ...fields, ...openAiFields(wish), messages: messagesOf(wish), ...limits };
}

export const chat: TestedDialect = {
  name: 'OpenAI chat',
  takes: () => true,
  async whole(url, wish) {
    const { choices } = await fetched(`${url}/v1/chat/completions`, chatBody(wish));
    return choices.map((choice: Json) => ({
      text: choice.message.content,
      tokenIds: choice.token_ids,
      logprobs: choice.logprobs.content.map(({ logprob }: Json) => logprob),
      finish: choice.finish_reason,
    }));
  },
  async streamed(url, wish) {
    const parts = new Parts(wish.n);
    for (const choice of await choicesOf(`${url}/v1/chat/completions`, chatBody(wish))) {
      if (choice.finish_reason !== null) parts.finish(choice.index, choice.finish_reason);
      else {
        const [{ logprob }] = choice.logprobs.content;
        parts.add(choice.index, choice.delta.content, { id: choice.token_ids[0], logprob });
      }
    }
    return parts.all();
  },
};

function tgiBody({ sampled, ...wish }: Wish): object {
  return {
    inputs: wish.prompt,
    parameters: {
      ...sampled,
      ...(wish.topK > 0 && { top_k: wish.topK }),
      ...(wish.topP < 1 && { top_p: wish.topP }),
      ...(wish.typicalP < 1 && { typical_p: wish.typicalP }),
      repetition_penalty: wish.repetitionPenalty,
      frequency_penalty: wish.frequencyPenalty,
      max_new_tokens: wish.maxNewTokens,
      stop: wish.stop,
      details: true,
    },
  };
}

const tgiFinish: Readonly<Record<string, Outcome['finish']>> = {
  length: 'length',
  eos_token: 'stop',
  stop_sequence: 'stop',
};

export const tgi: TestedDialect = {
  name: 'TGI',
  /** Its stop strings stay in the text, and it has no further parameters. */
  takes: (wish) =>
    wish.n === 1 &&
    wish.minP === 0 &&
    wish.presencePenalty === 0 &&
    Object.keys(wish.logitBias).length === 0 &&
    wish.allowedTokenIds === undefined &&
    !wish.ignoreEos &&
    (wish.includeStop || wish.stop.length === 0) &&
    // These turn sampling on.
    (wish.sampled !== undefined || (wish.topK === 0 && wish.topP === 1 && wish.typicalP === 1)),
  async whole(url, wish) {
    const { generated_text: text, details } = await fetched(`${url}/generate`, tgiBody(wish));
    return [
      {
        text,
        tokenIds: details.tokens.map(({ id }: Json) => id),
        logprobs: details.tokens.map(({ logprob }: Json) => logprob),
        finish: tgiFinish[details.finish_reason] ?? details.finish_reason,
      },
    ];
  },
  async streamed(url, wish) {
    const parts = new Parts(1);
    let text = '';
    for (const { data } of await eventsOf(`${url}/generate_stream`, tgiBody(wish))) {
      const { token, generated_text: whole, details, error }: Json = JSON.parse(data);
      if (error !== undefined) throw new Error(data);
      parts.add(0, token.special ? '' : token.text, token);
      text = whole ?? '';
      if (details) parts.finish(0, tgiFinish[details.finish_reason] ?? details.finish_reason);
    }
    const all = parts.all();
    if (all[0]?.text !== text) throw new Error(`the last event has the text ${JSON.stringify(text)}`);
    return all;
  },
};
