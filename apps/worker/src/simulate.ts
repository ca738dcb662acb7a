import { runCommand } from 'roundsman/commands'
import { simulateCommand } from './command/lookingCommands.ts'

await runCommand(simulateCommand)
