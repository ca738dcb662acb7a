import { runCommand } from 'roundsman/commands'
import { runsCommand } from './command/lookingCommands.ts'

await runCommand(runsCommand)
