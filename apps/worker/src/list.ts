import { runCommand } from './command/runCommand.ts'
import { listCommand } from './list/listCommand.ts'

await runCommand(listCommand)
