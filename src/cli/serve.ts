import type { FastifyInstance } from 'fastify';
import { type CommandLine, flagOf, type Settings, serveSettings } from '../config/index.ts';
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
import { logStreamTo } from './log-stream.ts';
import { embeddedModelFolder, packageVersion } from './package-info.ts';
import { Shutdown } from './shutdown.ts';
import type { StopSignals } from './stop-signals.ts';

const defaultPromptBudget = 256;

/** `weft serve`: wires everything together and runs until it is told to stop. */
export async function serve(line: CommandLine, signals: StopSignals): Promise<void> {
  const settings = serveSettings(line);
  const precision = precisionFor(settings);
  const { device, description, session } = openDevice(settings);
  const { folder, model } = await openByName(settings.model ?? embeddedModelFolder, settings, precision);
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
    logStream: await logStreamTo(process.stdout, settings),
  });
  if (maxConnections < settings.maxConnections) {
    server.app.log.warn(
      `${flagOf('maxConnections')} is ${settings.maxConnections}, but the limit of open files (ulimit -n) only allows ${maxConnections}`,
    );
  }
  const shutdown = new Shutdown({ engine, server, drainTimeoutMs: settings.drainTimeoutMs });
  // Other devices hold a copy of the weights, which a change of the file does not affect.
  if (device.kind === 'cpu') await watchGraph(model.graphPath, (problem) => shutdown.onDamage(problem));
  // Requests can arrive as soon as the first address is open; `localhost` has two.
  server.app.server.once('listening', () => signals.handOver((signal) => shutdown.onSignal(signal)));
  const address = await listen(server.app, settings);
  await engine.warmUp();
  // A signal may have stopped the engine meanwhile.
  if (!engine.isReady) return;
  const { batchTimeoutMs } = settings;
  const hasTokenizer = tokenizer !== undefined;
  process.stdout.write(
    banner({ version: packageVersion, model, limits, device: description, batchTimeoutMs, address, hasTokenizer }),
  );
}

/** @param maxPromptTokens prompt tokens that the device can process in one step @throws {UserError} model or device cannot do it */
function stepLimits(settings: Settings, model: Model, maxPromptTokens: number): StepLimits {
  const { maxBatchSize } = settings;
  const { maxPositions } = model.config;
  const { maxModelLen = maxPositions, maxStepTokens = maxBatchSize + Math.min(defaultPromptBudget, maxPromptTokens) } =
    settings;
  if (maxModelLen > maxPositions) {
    throw new UserError(
      `${flagOf('maxModelLen')} is ${maxModelLen}, but ${model.name} supports at most ${maxPositions} tokens`,
    );
  }
  if (maxStepTokens > maxBatchSize + maxPromptTokens) {
    throw new UserError(
      `${flagOf('maxStepTokens')} is ${maxStepTokens}; with ${flagOf('device')} ${settings.device} and ${flagOf('maxBatchSize')} ${maxBatchSize}, it must be at most ${maxBatchSize + maxPromptTokens}`,
    );
  }
  return { maxBatchSize, maxModelLen, maxStepTokens };
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
      return `port ${port} of ${host} is in use; stop the other program, or choose another port with ${flagOf('port')}`;
    case 'EACCES':
      return `this user may not open port ${port}; choose a port from 1024 up with ${flagOf('port')}`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is not an address of this machine; choose another one with ${flagOf('host')}`;
    default:
      return `cannot listen on ${host}:${port}: ${error.message}`;
  }
}
