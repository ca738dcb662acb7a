import { runCommand } from 'roundsman/commands'
import { listCommand } from './command/lookingCommands.ts'

await runCommand(listCommand)
