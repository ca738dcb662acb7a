import { runUserCommand } from './user/runUserCommand.ts'
import { userCreate } from './user/userCommands.ts'

process.exit(await runUserCommand(userCreate, process.argv.slice(2), process))
