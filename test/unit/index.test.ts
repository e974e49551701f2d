import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { expect, expectTypeOf, test } from 'vitest';
import * as weft from '../../src/index.ts';

test('these values are exported', () => {
  expect(Object.keys(weft)).toEqual(['ModelError', 'ServingError', 'UserError', 'loadModel', 'weftRoutes']);
});

test('these types are exported', () => {
  const file = new URL('../../src/index.ts', import.meta.url);
  const { statements } = ts.createSourceFile('index.ts', readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  const names = statements.flatMap((statement) => {
    const exported = ts.isExportDeclaration(statement) ? statement.exportClause : undefined;
    if (exported === undefined || !ts.isNamedExports(exported)) throw new Error('index.ts only names its exports');
    return exported.elements.map(({ name }) => name.text);
  });
  expect(names.filter((name) => !(name in weft)).sort()).toEqual([
    'ChatMessage',
    'ChatPromptOptions',
    'ChatTemplate',
    'ErrorCode',
    'ErrorEvent',
    'FinishedEvent',
    'GenerateOptions',
    'GenerateRequest',
    'GenerationEvent',
    'GeneratorStats',
    'LoadOptions',
    'LoadProgress',
    'LoadedModel',
    'Prompt',
    'PromptEvent',
    'SampledToken',
    'SamplingParams',
    'ServedModel',
    'TextCodec',
    'TextGenerator',
    'Timings',
    'TokenEvent',
    'TokenLogprobs',
    'Usage',
    'WeftRoutesOptions',
  ]);
});

// Checked by `npm run types`.
test('the types are these', () => {
  expectTypeOf(weft.loadModel).toEqualTypeOf<
    (name?: string, options?: weft.LoadOptions) => Promise<weft.LoadedModel>
  >();
  expectTypeOf<weft.LoadedModel>()
    .toHaveProperty('generate')
    .toEqualTypeOf<
      (
        prompt: weft.Prompt,
        options?: weft.GenerateOptions,
      ) => AsyncGenerator<weft.PromptEvent | weft.TokenEvent | weft.FinishedEvent, void, undefined>
    >();
  expectTypeOf<Omit<weft.LoadedModel, 'generate'>>().toEqualTypeOf<{
    readonly name: string;
    readonly deviceName: string;
    readonly precision: 'fp32' | 'fp16' | 'int8' | 'int8-fast';
    readonly maxModelLen: number;
    readonly served: weft.ServedModel;
    readonly generator: weft.TextGenerator;
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
  }>();
  expectTypeOf<weft.TokenEvent>().toEqualTypeOf<{
    readonly type: 'token';
    readonly choice: number;
    readonly index: number;
    readonly token: weft.SampledToken;
    readonly text: string;
    readonly isLast: boolean;
  }>();
  type OnOff = 'on' | 'off';
  expectTypeOf<Required<weft.LoadOptions>>().toEqualTypeOf<{
    readonly revision: string | undefined;
    readonly cacheDir: string | undefined;
    readonly servedModelName: readonly string[] | undefined;
    readonly device: string | undefined;
    readonly precision: 'fp32' | 'fp16' | 'int8' | 'int8-fast' | undefined;
    readonly threads: number | undefined;
    readonly spinning: OnOff | undefined;
    readonly maxBatchSize: number | undefined;
    readonly maxModelLen: number | undefined;
    readonly maxStepTokens: number | undefined;
    readonly batchTimeoutMs: number | undefined;
    readonly maxQueueSize: number | undefined;
    readonly maxPendingEvents: number | undefined;
    readonly onProgress: ((progress: weft.LoadProgress) => void) | undefined;
    readonly onWarning: ((message: string) => void) | undefined;
    readonly onError: ((error: Error) => void) | undefined;
  }>();
  expectTypeOf<Required<weft.GenerateOptions>>().toEqualTypeOf<{
    readonly n: number | undefined;
    readonly maxNewTokens: number | undefined;
    readonly minNewTokens: number | undefined;
    readonly temperature: number | undefined;
    readonly topK: number | undefined;
    readonly topP: number | undefined;
    readonly minP: number | undefined;
    readonly typicalP: number | undefined;
    readonly repetitionPenalty: number | undefined;
    readonly presencePenalty: number | undefined;
    readonly frequencyPenalty: number | undefined;
    readonly logitBias: Readonly<Record<number, number>> | undefined;
    readonly allowedTokenIds: readonly number[] | undefined;
    readonly badWords: readonly string[] | undefined;
    readonly seed: number | undefined;
    readonly stop: string | readonly string[] | undefined;
    readonly stopTokenIds: readonly number[] | undefined;
    readonly includeStop: boolean | undefined;
    readonly ignoreEos: boolean | undefined;
    readonly skipSpecialTokens: boolean | undefined;
    readonly addSpecialTokens: boolean | undefined;
    readonly truncatePromptTokens: number | undefined;
    readonly logprobs: number | undefined;
    readonly promptLogprobs: number | undefined;
    readonly priority: number | undefined;
    readonly cacheSalt: string | undefined;
    readonly signal: AbortSignal | undefined;
  }>();
  expectTypeOf<{ model: weft.LoadedModel }>().toExtend<weft.WeftRoutesOptions>();
  expectTypeOf<{ generator: weft.TextGenerator; modelName: string }>().toExtend<weft.WeftRoutesOptions>();
  expectTypeOf<{ generator: weft.TextGenerator }>().not.toExtend<weft.WeftRoutesOptions>();
});
