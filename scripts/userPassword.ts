import { changePassword } from '@roundsman/db'
import { StartError } from '@roundsman/node-app'
import { runUserCommand } from './user/runUserCommand.ts'

const USAGE = `Usage: pnpm user:password --email ADDRESS

Gives somebody a new password and ends their log-ins. Asks for the password, twice
and without showing it, or takes it from standard input: 12 to 200 characters.

Exit code: 0 changed, 1 refused or failed, 2 usage`

process.exit(
  await runUserCommand({
    usage: USAGE,
    takesRole: false,
    async run(prisma, { email, password }) {
      if (await changePassword(prisma, email, password)) {
        return `${email.toLowerCase()} has the new password; who was logged in with the old one is not any more.`
      }
      throw new StartError(
        `There is no user ${email.toLowerCase()}; add one: pnpm user:create --email ${email} --role owner`,
      )
    },
  }),
)
