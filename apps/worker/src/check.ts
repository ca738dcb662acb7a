import { runCommand } from 'roundsman/commands'
import { checkCommand } from './check/checkCommand.ts'

await runCommand(checkCommand)
