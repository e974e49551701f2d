import type { FastifyPluginAsync } from 'fastify';
import { loadOptions, packageVersion as version } from '../config/index.ts';
import { type ServedModel, type TextGenerator, UserError } from '../core/index.ts';
import type { LoadedModel } from './loaded-model.ts';
import { servedModel } from './served-model.ts';

const optionKeys = ['maxBodyBytes', 'sseHeartbeatMs'] as const;

/** The model to serve: one that `loadModel` has loaded, or any other generator. */
type Served = { readonly model: Pick<LoadedModel, 'served' | 'generator'> } | Own;

interface Own {
  readonly generator: TextGenerator;
  readonly modelName: string;
}

/** What to serve, and two of the settings of `weft serve`. */
export type WeftRoutesOptions = Served & {
  /** The largest request body, in bytes: from 1024, by default 524,288. */
  readonly maxBodyBytes?: number | undefined;
  /** How often a stream carries a comment, so that proxies keep it open, in milliseconds; 15,000 by default. */
  readonly sseHeartbeatMs?: number | undefined;
};

/**
 * A Fastify plugin that adds Weft's HTTP routes to an application. Use Fastify's `prefix` option to choose where.
 * @throws {UserError} an option is not valid
 */
export const weftRoutes: FastifyPluginAsync<WeftRoutesOptions> = async (app, options) => {
  const { generator, model } = servedBy(options);
  const given = { maxBodyBytes: options.maxBodyBytes, sseHeartbeatMs: options.sseHeartbeatMs };
  const { maxBodyBytes, sseHeartbeatMs } = loadOptions(optionKeys, given);
  // Imported here, so that programs without HTTP do not load Fastify.
  const { routes } = await import('../server/index.ts');
  await app.register(routes, { generator, model, version, maxBodyBytes, sseHeartbeatMs });
};

/** @throws {UserError} there is nothing to serve */
function servedBy(options: Partial<Served>): { readonly generator: TextGenerator; readonly model: ServedModel } {
  if ('model' in options) {
    const { generator, served } = options.model ?? {};
    if (generator && served) return { generator, model: served };
  } else {
    const { generator, modelName } = options as Partial<Own>;
    if (generator && modelName) return { generator, model: servedModel([modelName]) };
  }
  throw new UserError('weftRoutes needs a model that loadModel has loaded, or a generator and a modelName');
}
