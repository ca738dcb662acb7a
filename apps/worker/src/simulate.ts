import { runCommand } from './command/runCommand.ts'
import { simulateCommand } from './simulate/simulateCommand.ts'

await runCommand(simulateCommand)
