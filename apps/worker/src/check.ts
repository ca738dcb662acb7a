import { runCommand } from './command/runCommand.ts'
import { checkCommand } from './check/checkCommand.ts'

await runCommand(checkCommand)
