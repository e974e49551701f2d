import type { FastifyInstance } from 'fastify';
import { flagOf, loadSettings, type Settings } from '../config/index.ts';
import { type StepLimits, systemClock, UserError } from '../core/index.ts';
import { maxPromptTokens, OrtModelRunner } from '../engine/index.ts';
import { LlmEngine } from '../llm/index.ts';
import { type Model, watchGraph } from '../model/index.ts';
import { buildServer } from '../server/index.ts';
import { loadTokenizer } from '../tokenizer/index.ts';
import { affordableConnections } from './affordable-connections.ts';
import { banner } from './banner.ts';
import { openDevice, precisionFor } from './device.ts';
import { openByName } from './local-models.ts';
import { embeddedModelFolder, packageVersion } from './package-info.ts';
import { Shutdown } from './shutdown.ts';
import type { StopSignals } from './stop-signals.ts';

const defaultPromptBudget = 256;

/** `weft serve`: wires everything together and runs until it is told to stop. */
export async function serve(args: readonly string[], signals: StopSignals): Promise<void> {
  const settings = loadSettings(args, process.env);
  const precision = precisionFor(settings);
  const { device, description, session } = openDevice(settings);
  const { folder, model } = await openByName(settings.model || embeddedModelFolder, settings, precision);
  const tokenizer = await loadTokenizer(folder);
  const limits = stepLimits(settings, model, maxPromptTokens(device));
  const runner = new OrtModelRunner({ model, limits, session });
  const engine = new LlmEngine({
    runner,
    tokenizer,
    clock: systemClock,
    vocabSize: model.config.vocabSize,
    eosTokenIds: model.config.eosTokenIds,
    batchTimeoutMs: settings.batchTimeoutMs,
    maxQueueSize: settings.maxQueueSize,
    maxPendingEvents: settings.maxPendingEvents,
    onFailure: (error) => server.app.log.error(error),
    onDefect: (defect) => shutdown.onDefect(defect),
  });
  const maxConnections = affordableConnections(settings.maxConnections);
  const server = await buildServer({
    ...settings,
    maxConnections,
    generator: engine,
    modelName: model.name,
    version: packageVersion,
    logStream: process.stdout,
  });
  if (maxConnections < settings.maxConnections) {
    server.app.log.warn(
      `${flagOf('maxConnections')} is ${settings.maxConnections}, and the limit of open files (ulimit -n) allows ${maxConnections}`,
    );
  }
  const shutdown = new Shutdown({ engine, server, drainTimeoutMs: settings.drainTimeoutMs });
  // On other devices the weights are copies.
  if (device.kind === 'cpu') await watchGraph(model.graphPath, (problem) => shutdown.onDamage(problem));
  // `localhost` has two addresses: requests come from the moment on that the first of them is open.
  server.app.server.once('listening', () => signals.handOver((signal) => shutdown.onSignal(signal)));
  const address = await listen(server.app, settings);
  await engine.warmUp();
  // A signal may have come first.
  if (!engine.isReady) return;
  const { batchTimeoutMs } = settings;
  const hasTokenizer = tokenizer !== undefined;
  process.stdout.write(
    banner({ version: packageVersion, model, limits, device: description, batchTimeoutMs, address, hasTokenizer }),
  );
}

function stepLimits(settings: Settings, model: Model, maxPromptTokens: number): StepLimits {
  const { maxBatchSize } = settings;
  const { maxPositions } = model.config;
  if (settings.maxModelLen > maxPositions) {
    throw new UserError(
      `${flagOf('maxModelLen')} is ${settings.maxModelLen}, and ${model.name} has positions for ${maxPositions} tokens at most`,
    );
  }
  if (settings.maxStepTokens - maxBatchSize > maxPromptTokens) {
    throw new UserError(
      `${flagOf('maxStepTokens')} is ${settings.maxStepTokens}; on ${settings.device} prompts get at most ${maxPromptTokens} of the tokens of a step, so that with ${flagOf('maxBatchSize')} ${maxBatchSize} it may be ${maxBatchSize + maxPromptTokens}`,
    );
  }
  return {
    maxBatchSize,
    maxModelLen: settings.maxModelLen || maxPositions,
    maxStepTokens: settings.maxStepTokens || maxBatchSize + Math.min(defaultPromptBudget, maxPromptTokens),
  };
}

async function listen(server: FastifyInstance, { host, port }: Settings): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (error) {
    throw new UserError(listenProblem(error as NodeJS.ErrnoException, host, port));
  }
}

function listenProblem(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} of ${host} is in use: stop what listens there, or choose another with ${flagOf('port')}`;
    case 'EACCES':
      return `port ${port} may not be opened by this user: choose one from 1024 on with ${flagOf('port')}`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is not an address of this machine: choose another with ${flagOf('host')}`;
    default:
      return `cannot listen on ${host}:${port}: ${error.message}`;
  }
}
