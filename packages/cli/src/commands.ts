// For a product that calls the commands from programs of its own.
export { checkClockChanges } from './check/checkClockChanges.ts'
export { createCheckCommand } from './check/checkCommand.ts'
export { checkDefinitions } from './check/checkDefinitions.ts'
export { checkSchedules } from './check/checkSchedules.ts'
export { checkVacuum } from './check/checkVacuum.ts'
export type { CheckResult, Finding } from './check/finding.ts'
export { currentUser } from './command/currentUser.ts'
export { deferSignals } from './command/deferSignals.ts'
export { describeDuration } from './command/describeDuration.ts'
export type { Looked, Product, ProductSource } from './command/product.ts'
export {
  exitCodeOf,
  ForeseenError,
  runCommand,
  type Command,
  type Terminal,
} from './command/runCommand.ts'
export type { ControlledProduct } from './control/controlledProduct.ts'
export { createQueueCommand } from './control/queueCommand.ts'
export { createWorkCommand } from './control/workCommand.ts'
export { createListCommand } from './list/listCommand.ts'
export { createOnceCommand, type OnceRequest, type OnceTerminal } from './once/onceCommand.ts'
export { createDeadLettersCommand } from './runs/deadLettersCommand.ts'
export { createRunsCommand } from './runs/runsCommand.ts'
export { createSimulateCommand } from './simulate/simulateCommand.ts'
