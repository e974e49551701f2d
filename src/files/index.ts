export { buildFolder, isUnfinished, removeUnfinishedBuilds } from './build-folder.ts';
export { exists, hashFile, replaceFile } from './files.ts';
export { writerName, writerState } from './writer.ts';
