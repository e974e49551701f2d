import { expect } from 'vitest';
import {
  type EngineError,
  type GenerateRequest,
  type GenerationEvent,
  type NoTokenError,
  requestDefaults,
  type StepLimits,
} from '../../src/core/index.ts';
import { LlmEngine } from '../../src/llm/index.ts';
import { byteAlphabet } from '../../src/tokenizer/byte-level.ts';
import { Tokenizer } from '../../src/tokenizer/index.ts';
import { FakeRunner } from './fake-runner.ts';
import { ManualClock } from './manual-clock.ts';
import { StepTrace } from './step-trace.ts';

export const EOS = 2;
export const OWL = [...Buffer.from('🦉')];

/** Every byte is a token: token 4 is byte 0, and so on. */
export const idOfByte = (byte: number) => 4 + byte;
export const idsOf = (text: string) => [...Buffer.from(text)].map(idOfByte);

/** A token so long that a few of them fill a socket's buffers. */
export const longToken = { id: 299, text: 'x'.repeat(16_384) };

function byteTokenizer(hasLongToken: boolean): Tokenizer {
  const chars = byteAlphabet.map((char, byte) => [char, idOfByte(byte)] as const);
  const plain = { special: false, lstrip: false, rstrip: false, singleWord: false, normalized: false };
  const addedTokens = [
    { ...plain, special: true, id: EOS, content: '</s>' },
    ...(hasLongToken ? [{ ...plain, id: longToken.id, content: longToken.text }] : []),
  ];
  return new Tokenizer({
    vocab: new Map(chars),
    merges: [],
    addedTokens,
    prefix: [EOS],
    suffix: [],
    addPrefixSpace: false,
  });
}

interface EngineChanges extends Partial<StepLimits> {
  readonly hasTokenizer?: boolean;
  readonly maxQueueSize?: number;
  readonly maxPendingEvents?: number;
  /** The token that sequences without a scripted reply get. */
  readonly otherReply?: number;
  readonly onFailure?: (error: EngineError) => void;
  readonly onDefect?: (defect: unknown) => void;
}

/** The tokens, or the errors that rows fail with, by the prompts of their sequences. `a#1` is the second answer to `a`. */
type Replies = Readonly<Record<string, readonly (number | EngineError | NoTokenError)[]>>;

/** Names a sequence by the text of its prompt, or `warm-up` if the engine started it itself. */
function nameOf(promptTokenIds: readonly number[]): string {
  if (promptTokenIds.length === 1 && promptTokenIds[0] === 0) return 'warm-up';
  return Buffer.from(promptTokenIds.filter((id) => id >= idOfByte(0)).map((id) => id - idOfByte(0))).toString();
}

/** An engine that has not been warmed up yet. Each sequence gets the scripted reply to its prompt. */
export function coldEngine(
  replies: Replies = {},
  {
    hasTokenizer = true,
    maxQueueSize = 10,
    maxPendingEvents = 1000,
    otherReply = EOS,
    onFailure = (error) => expect.unreachable(String(error)),
    onDefect = (defect) => expect.unreachable(String(defect)),
    ...limits
  }: EngineChanges = {},
) {
  const runner = new FakeRunner(limits, new StepTrace(nameOf), (name, index, choice) => {
    const reply = replies[`${name}#${choice}`] ?? replies[name];
    return reply?.[index] ?? otherReply;
  });
  const clock = new ManualClock();
  const engine = new LlmEngine({
    runner,
    tokenizer: hasTokenizer ? byteTokenizer(otherReply === longToken.id) : undefined,
    clock,
    vocabSize: 300,
    eosTokenIds: [EOS],
    batchTimeoutMs: 100,
    maxQueueSize,
    maxPendingEvents,
    onFailure,
    onDefect,
  });
  return { engine, runner, clock };
}

export async function startEngine(replies: Replies, changes: EngineChanges = {}) {
  const made = coldEngine(replies, changes);
  await made.engine.warmUp();
  made.runner.steps.length = 0;
  return made;
}

export function requestFor(prompt: string, changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return { ...requestDefaults, id: prompt, prompts: [prompt], ...changes };
}

export const never = () => new AbortController().signal;

export async function eventsOf(events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}

/** A generation in one line: the text of each token, then how it ended. Answers after the first one are marked by their number. */
export async function story(engine: LlmEngine, request: GenerateRequest): Promise<string> {
  const events = await eventsOf(await engine.submit(request, never()));
  return events.map(inWords).join(' ');
}

function inWords(event: GenerationEvent): string {
  if (event.type === 'prompt') return `<${event.tokenIds.length}>`;
  if (event.type === 'error') return event.error.code;
  const answer = event.choice > 0 ? `${event.choice}:` : '';
  if (event.type === 'token') return `${answer}[${event.text}]`;
  return `${answer}${event.finishReason}${event.stopReason === undefined ? '' : `(${event.stopReason})`}`;
}
