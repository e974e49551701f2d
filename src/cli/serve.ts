import type { FastifyInstance } from 'fastify';
import { type CommandLine, flagOf, packageVersion, type Settings, serveSettings } from '../config/index.ts';
import { UserError } from '../core/index.ts';
import { openEngine } from '../library/index.ts';
import { buildServer } from '../server/index.ts';
import { affordableConnections } from './affordable-connections.ts';
import { banner } from './banner.ts';
import { logStreamTo } from './log-stream.ts';
import { reporter } from './open-model.ts';
import { Shutdown } from './shutdown.ts';
import type { StopSignals } from './stop-signals.ts';

/** `weft serve`: wires everything together and runs until it is told to stop. */
export async function serve(line: CommandLine, signals: StopSignals): Promise<void> {
  const settings = serveSettings(line);
  const { engine, chat, model, limits, device, served, watchFiles } = await openEngine(settings, {
    environment: process.env,
    reporter,
    nameOf: flagOf,
    onFailure: (error) => server.app.log.error(error),
    onDefect: (defect) => shutdown.onDefect(defect),
  });
  const maxConnections = affordableConnections(settings.maxConnections);
  const server = await buildServer({
    ...settings,
    maxConnections,
    generator: engine,
    model: served,
    version: packageVersion,
    logStream: await logStreamTo(process.stdout, settings),
  });
  if (maxConnections < settings.maxConnections) {
    server.app.log.warn(
      `${flagOf('maxConnections')} is ${settings.maxConnections}, but the limit of open files (ulimit -n) only allows ${maxConnections}`,
    );
  }
  const shutdown = new Shutdown({ engine, chat, server, drainTimeoutMs: settings.drainTimeoutMs });
  await watchFiles((problem) => shutdown.onDamage(problem));
  // Requests can arrive as soon as the first address is open; `localhost` has two.
  server.app.server.once('listening', () => signals.handOver((signal) => shutdown.onSignal(signal)));
  const address = await listen(server.app, settings);
  await engine.warmUp();
  // A signal may have stopped the engine meanwhile.
  if (!engine.isReady) return;
  const { batchTimeoutMs } = settings;
  process.stdout.write(banner({ version: packageVersion, model, limits, device, batchTimeoutMs, address, served }));
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
