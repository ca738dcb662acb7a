import { createUser } from '@roundsman/db'
import { StartError } from '@roundsman/node-app'
import { runUserCommand } from './user/runUserCommand.ts'

const USAGE = `Usage: pnpm user:create --email ADDRESS --role owner|admin|staff

Adds somebody who may log in. Asks for the password, twice and without showing it,
or takes it from standard input: 12 to 200 characters.

Exit code: 0 added, 1 refused or failed, 2 usage`

process.exit(
  await runUserCommand({
    usage: USAGE,
    takesRole: true,
    async run(prisma, user) {
      if (await createUser(prisma, user))
        return `${user.email.toLowerCase()} may log in as ${user.role}.`
      throw new StartError(
        `There is a user ${user.email.toLowerCase()} already, who was not changed; a new password: pnpm user:password --email ${user.email}`,
      )
    },
  }),
)
