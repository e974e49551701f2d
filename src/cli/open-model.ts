import type { Settings } from '../config/index.ts';
import type { Precision } from '../core/index.ts';
import { locate as locateModel, type OpenReporter, openByName as openModelByName } from '../store/index.ts';
import { progressOf, progressOfPull } from './progress.ts';

/** Reports on standard error. */
export const reporter: OpenReporter = {
  progressOf,
  progressOfPull,
  warn: (message) => void process.stderr.write(`${message}\n`),
};

type StoreSettings = Pick<Settings, 'cacheDir' | 'revision'>;

export const openByName = (name: string, settings: StoreSettings, precision: Precision) =>
  openModelByName(name, settings, { precision, environment: process.env, reporter });

export const locate = (name: string, settings: StoreSettings) =>
  locateModel(name, settings, { environment: process.env, reporter });
