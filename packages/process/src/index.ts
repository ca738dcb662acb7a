export { createLogger, type CreateLoggerOptions } from './createLogger.ts'
export { listenForStop } from './listenForStop.ts'
export { explainListenError, StartError } from './startError.ts'
