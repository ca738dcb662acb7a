import { runUserCommand } from './user/runUserCommand.ts'
import { userPassword } from './user/userCommands.ts'

process.exit(await runUserCommand(userPassword, process.argv.slice(2), process))
