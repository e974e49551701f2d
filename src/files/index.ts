export { buildFolder, isUnfinished, makeFolder, removeUnfinishedBuilds } from './build-folder.ts';
export { exists, hashFile, replaceFile } from './files.ts';
export { writerName, writerState } from './writer.ts';
