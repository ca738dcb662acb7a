import type { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { missingMigrations } from '@roundsman/db/admin'
import { createDatabaseClient, passwordProblem, Role, type PrismaClient } from '@roundsman/db'
import { StartError } from '@roundsman/node-app'
import { PromptEnded, readPassword, type PasswordInput } from './readPassword.ts'

export interface UserCommand {
  usage: string
  takesRole: boolean
  /**
   * Does the work and returns what it did, for people.
   * @throws StartError that says why not, with the remedy
   */
  run(prisma: PrismaClient, user: { email: string; role: Role; password: string }): Promise<string>
}

const options = {
  email: { type: 'string' },
  role: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

export interface UserTerminal {
  stdin: PasswordInput
  stdout: Writable
  stderr: Writable
}

/**
 * Runs a command about one user, and resolves to the exit code. The password is never an argument: the system's list of
 * processes would show it.
 */
export async function runUserCommand(
  { usage, takesRole, run }: UserCommand,
  args: string[],
  { stdin, stdout, stderr }: UserTerminal,
): Promise<number> {
  const refuse = (code: number, message: string): number => {
    stderr.write(`${message}\n`)
    return code
  }
  const asked = readArguments(args, takesRole)
  if (asked === 'help') {
    stdout.write(`${usage}\n`)
    return 0
  }
  if ('problem' in asked) return refuse(2, `${asked.problem}\n\n${usage}`)
  const { email, role } = asked
  let password: string | undefined
  try {
    password = await readPassword(stdin, stderr)
  } catch (error) {
    if (error instanceof PromptEnded) return refuse(1, error.message)
    throw error
  }
  if (password === undefined)
    return refuse(1, 'The two passwords are not the same; nothing was changed')
  const problem = passwordProblem(password)
  if (problem !== null) return refuse(1, `The password ${problem}; nothing was changed`)
  // Imported only now: a refusal need not wait for this code to load.
  const { runWithDatabase } = await import('../runWithDatabase.ts')
  return await runWithDatabase(async ({ url }) => {
    if ((await missingMigrations(url)).length > 0) {
      throw new StartError('The database is not up to date: run pnpm db:migrate first')
    }
    const prisma = createDatabaseClient({
      url,
      applicationName: 'roundsman user',
      poolSize: 1,
      onPoolError: () => undefined,
    })
    try {
      return await run(prisma, { email, role, password })
    } finally {
      await prisma.$disconnect()
    }
  })
}

/** Reads the command line. Without `takesRole` the role in the answer means nothing. */
function readArguments(
  args: string[],
  takesRole: boolean,
): 'help' | { problem: string } | { email: string; role: Role } {
  try {
    const { values } = parseArgs({ args, options, allowPositionals: false, strict: true })
    if (values.help) return 'help'
    const email = z.email().max(254).safeParse(values.email)
    if (!email.success) return { problem: '--email has to be an e-mail address' }
    if (!takesRole) {
      if (values.role !== undefined) return { problem: '--role is not an option of this command' }
      return { email: email.data, role: Role.staff }
    }
    const role = z.enum(Role).safeParse(values.role)
    if (!role.success) return { problem: `--role is one of ${Object.keys(Role).join(', ')}` }
    return { email: email.data, role: role.data }
  } catch (error) {
    return { problem: (error as Error).message }
  }
}
