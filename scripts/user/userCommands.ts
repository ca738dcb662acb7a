import { changePassword, createUser } from '@roundsman/db'
import { StartError } from '@roundsman/node-app'
import type { UserCommand } from './runUserCommand.ts'

export const userCreate: UserCommand = {
  usage: `Usage: pnpm user:create --email ADDRESS --role owner|admin|staff

Adds somebody who may log in. Asks for the password, twice and without showing it,
or takes it from standard input: 12 to 200 characters.

Exit code: 0 added, 1 refused or failed, 2 usage`,
  takesRole: true,
  async run(prisma, user) {
    if (await createUser(prisma, user))
      return `${user.email.toLowerCase()} may log in as ${user.role}.`
    throw new StartError(
      `There is a user ${user.email.toLowerCase()} already, and nothing was changed; to set a new password: pnpm user:password --email ${user.email}`,
    )
  },
}

export const userPassword: UserCommand = {
  usage: `Usage: pnpm user:password --email ADDRESS

Gives somebody a new password and ends their log-ins. Asks for the password, twice
and without showing it, or takes it from standard input: 12 to 200 characters.

Exit code: 0 changed, 1 refused or failed, 2 usage`,
  takesRole: false,
  async run(prisma, { email, password }) {
    if (await changePassword(prisma, email, password)) {
      return `${email.toLowerCase()} has the new password; log-ins with the old one have ended.`
    }
    throw new StartError(
      `There is no user ${email.toLowerCase()}; add one: pnpm user:create --email ${email} --role owner`,
    )
  },
}
