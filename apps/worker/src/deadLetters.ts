import { runCommand } from 'roundsman/commands'
import { deadLettersCommand } from './command/lookingCommands.ts'

await runCommand(deadLettersCommand)
