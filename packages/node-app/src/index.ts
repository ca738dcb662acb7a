export { createLogger, type CreateLoggerOptions } from './createLogger.ts'
export {
  commonVariables,
  databaseRequiredInProduction,
  EnvironmentError,
  integerVariable,
  readEnvironment,
  secretProblem,
  secretVariable,
  switchVariable,
  type EnvironmentOptions,
} from './environment.ts'
export { readVersion } from './readVersion.ts'
export { startTracing } from './tracing/startTracing.ts'
export { telemetryVariables, tracingOptions } from './telemetryVariables.ts'
export {
  awaitRelease,
  listenForStop,
  type AwaitReleaseOptions,
  type ProcessHost,
} from './listenForStop.ts'
export {
  isLoopback,
  noSchemaCompilers,
  serverTimeouts,
  type ServerTimeoutOptions,
} from './serverTimeouts.ts'
export { explainListenError, StartError } from './startError.ts'
