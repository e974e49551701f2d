import type { FastifyPluginAsync } from 'fastify';
import { loadOptions } from '../config/index.ts';
import type { TextGenerator } from '../core/index.ts';

const optionKeys = ['maxBodyBytes', 'sseHeartbeatMs'] as const;

/** The model to serve: one that `loadModel` has loaded, or any other generator. */
type Served =
  | { readonly model: { readonly name: string; readonly generator: TextGenerator } }
  | { readonly generator: TextGenerator; readonly modelName: string };

export type WeftRoutesOptions = Served & {
  /** The largest request body. */
  readonly maxBodyBytes?: number | undefined;
  /** How often a silent stream carries a comment, so that proxies keep it open. */
  readonly sseHeartbeatMs?: number | undefined;
};

/**
 * A Fastify plugin that adds Weft's HTTP routes to an application. Use Fastify's `prefix` option to choose where.
 * @throws {UserError} an option is not valid
 */
export const weftRoutes: FastifyPluginAsync<WeftRoutesOptions> = async (app, options) => {
  const { generator, modelName } = servedBy(options);
  const given = { maxBodyBytes: options.maxBodyBytes, sseHeartbeatMs: options.sseHeartbeatMs };
  const { maxBodyBytes, sseHeartbeatMs } = loadOptions(optionKeys, given);
  // Loaded only here: without HTTP, nobody should pay for it.
  const { routes } = await import('../server/index.ts');
  await app.register(routes, { generator, modelName, maxBodyBytes, sseHeartbeatMs });
};

function servedBy(options: Served): { readonly generator: TextGenerator; readonly modelName: string } {
  return 'model' in options ? { generator: options.model.generator, modelName: options.model.name } : options;
}
