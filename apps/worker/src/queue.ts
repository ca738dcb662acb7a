import { runCommand } from 'roundsman/commands'
import { queueCommand } from './command/controlCommands.ts'

await runCommand(queueCommand)
