// For a product that calls the commands from its own program.
export { checkAgainst } from './check/checkAgainst.ts'
export type { CheckOptions } from './check/checkCommand.ts'
export { checkJobs } from './check/checkJobs.ts'
export { checkPooler } from './check/checkPooler.ts'
export { checkVacuum } from './check/checkVacuum.ts'
export type { CheckResult, Finding } from './check/finding.ts'
export { describeDuration } from './command/describeDuration.ts'
export { withReader, type Product, type RunPlace } from './command/product.ts'
export {
  exitCodeOf,
  ForeseenError,
  runAsProcess,
  type Command,
  type StoppableTerminal,
  type Terminal,
} from './command/runCommand.ts'
export { commandsByName } from './commandsByName.ts'
export {
  createProductCommands,
  type ProductCommandsOptions,
} from './config/createProductCommands.ts'
