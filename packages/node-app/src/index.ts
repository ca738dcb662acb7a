export { awaitRelease, type AwaitReleaseOptions } from './awaitRelease.ts'
export { createLogger, type CreateLoggerOptions } from './createLogger.ts'
export {
  commonVariables,
  databaseRequiredInProduction,
  EnvironmentError,
  integerVariable,
  readEnvironment,
  switchVariable,
  type EnvironmentOptions,
} from './environment.ts'
export { isLoopback } from './isLoopback.ts'
export { readVersion } from './readVersion.ts'
export { telemetryVariables, tracingOptions } from './telemetryVariables.ts'
export { listenForStop } from './listenForStop.ts'
export { serverTimeouts, type ServerTimeoutOptions } from './serverTimeouts.ts'
export { explainListenError, StartError } from './startError.ts'
