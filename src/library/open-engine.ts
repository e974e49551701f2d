import { ChatPrompts, readTemplates } from '../chat/index.ts';
import { defaultPromptBudget, type NameOf, type Settings } from '../config/index.ts';
import {
  type EngineError,
  ModelError,
  type ServedModel,
  type StepLimits,
  systemClock,
  UserError,
} from '../core/index.ts';
import { maxPromptTokens, OrtModelRunner } from '../engine/index.ts';
import { LlmEngine } from '../llm/index.ts';
import { type Model, watchGraph } from '../model/index.ts';
import { embeddedModelFolder, type OpenReporter, openByName } from '../store/index.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.ts';
import { openDevice, precisionFor } from './device.ts';
import { servedModel } from './served-model.ts';

export type EngineSettings = Pick<
  Settings,
  | 'model'
  | 'revision'
  | 'servedModelName'
  | 'cacheDir'
  | 'device'
  | 'precision'
  | 'threads'
  | 'spinning'
  | 'maxBatchSize'
  | 'maxModelLen'
  | 'maxStepTokens'
  | 'batchTimeoutMs'
  | 'maxQueueSize'
  | 'maxPendingEvents'
>;

export interface EngineContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly reporter: OpenReporter;
  readonly nameOf: NameOf;
  /** A step failed. The requests that this ends get the error too. */
  readonly onFailure: (error: EngineError) => void;
  /** A bug has stopped the engine. All open requests have ended with an error. */
  readonly onDefect: (defect: unknown) => void;
}

/** An engine with its model, not warmed up yet. */
export interface OpenEngine {
  readonly engine: LlmEngine;
  readonly model: Model;
  readonly limits: StepLimits;
  /** The name of the device, and how much of it is used. */
  readonly device: string;
  readonly served: ServedModel;
  /** Undefined without a tokenizer. The engine does not dispose of it. */
  readonly chat: ChatPrompts | undefined;
  /**
   * Watches the files that the engine maps into memory.
   * @param onDamage called when the engine must not run another step
   * @returns a function that stops watching
   */
  watchFiles(onDamage: (problem: string) => void): Promise<() => void>;
}

/**
 * Opens a model and builds the engine that runs it.
 * @throws {UserError} the settings do not fit the device or the model
 * @throws {ModelError} the model cannot be found, downloaded or run
 */
export async function openEngine(settings: EngineSettings, context: EngineContext): Promise<OpenEngine> {
  const { nameOf, onFailure, onDefect } = context;
  const precision = precisionFor(settings, nameOf);
  const { device, description, session } = openDevice(settings, nameOf);
  const { folder, model } = await openByName(settings.model ?? embeddedModelFolder, settings, {
    ...context,
    precision,
  });
  const tokenizer = await loadTokenizer(folder);
  const chat = tokenizer && (await openChat(folder, tokenizer, context.reporter));
  const limits = stepLimits(settings, { model, maxPromptTokens: maxPromptTokens(device), nameOf });
  const engine = new LlmEngine({
    runner: new OrtModelRunner({ model, limits, session }),
    tokenizer,
    clock: systemClock,
    vocabSize: model.config.vocabSize,
    eosTokenIds: model.config.eosTokenIds,
    batchTimeoutMs: settings.batchTimeoutMs,
    maxQueueSize: settings.maxQueueSize,
    maxPendingEvents: settings.maxPendingEvents,
    onFailure,
    onDefect,
  });
  return {
    engine,
    model,
    limits,
    device: description,
    served: servedModel(settings.servedModelName ?? [model.name], {
      maxModelLen: limits.maxModelLen,
      maxBatchSize: limits.maxBatchSize,
      maxQueueSize: settings.maxQueueSize,
      vocabSize: model.config.vocabSize,
      codec: tokenizer,
      chat,
    }),
    chat,
    // Other devices hold a copy of the weights, which a change of the file does not affect.
    watchFiles: async (onDamage) => (device.kind === 'cpu' ? watchGraph(model.graphPath, onDamage) : () => {}),
  };
}

/** A folder whose chat templates cannot be read still serves completions. */
async function openChat(folder: string, tokenizer: Tokenizer, { warn }: OpenReporter): Promise<ChatPrompts> {
  const model = await readTemplates(folder).catch((error: unknown): { readonly problem: string } => {
    if (!(error instanceof ModelError)) throw error;
    warn(`${error.message}; chats are refused, and everything else works`);
    return { problem: error.message };
  });
  const around = await tokenizer.encode('', { addSpecialTokens: true, signal: new AbortController().signal });
  return new ChatPrompts({ model, beginning: tokenizer.decode(around, { skipSpecialTokens: false }) });
}

interface Capabilities {
  readonly model: Model;
  /** Prompt tokens that the device can process in one step. */
  readonly maxPromptTokens: number;
  readonly nameOf: NameOf;
}

/** @throws {UserError} the model or the device cannot do what is asked for */
function stepLimits(settings: EngineSettings, { model, maxPromptTokens, nameOf }: Capabilities): StepLimits {
  const { maxBatchSize, device } = settings;
  const { maxPositions } = model.config;
  const { maxModelLen = maxPositions, maxStepTokens = maxBatchSize + Math.min(defaultPromptBudget, maxPromptTokens) } =
    settings;
  if (maxModelLen > maxPositions) {
    throw new UserError(
      `${nameOf('maxModelLen')} is ${maxModelLen}, but ${model.name} supports at most ${maxPositions} tokens`,
    );
  }
  if (maxStepTokens > maxBatchSize + maxPromptTokens) {
    throw new UserError(
      `${nameOf('maxStepTokens')} is ${maxStepTokens}; with ${nameOf('device')} ${device} and ${nameOf('maxBatchSize')} ${maxBatchSize}, it must be at most ${maxBatchSize + maxPromptTokens}`,
    );
  }
  return { maxBatchSize, maxModelLen, maxStepTokens };
}
