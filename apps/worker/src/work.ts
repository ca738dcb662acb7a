import { runCommand } from 'roundsman/commands'
import { workCommand } from './command/controlCommands.ts'

await runCommand(workCommand)
