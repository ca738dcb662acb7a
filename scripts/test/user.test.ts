// Not quick: starts processes.
import { collectOutput, openForTests, spawnProcess } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { beforeEach, describe, expect, test } from 'vitest'
import { verifyPassword } from '@roundsman/db'
import { mayAddDemoData } from '../seed/mayAddDemoData.ts'
import { PromptEnded, readPassword } from '../user/readPassword.ts'
import { runUserCommand } from '../user/runUserCommand.ts'
import { userCreate } from '../user/userCommands.ts'
import { WORKSPACE_ROOT } from './stack.ts'

const PASSWORD = 'correct horse battery staple'
const EMAIL = 'ann@example.org'

const database = openForTests(openTestDatabase)
beforeEach(async () => void (await database.prisma.user.deleteMany()))

async function run(program: 'userCreate' | 'userPassword', args: string[], input: string) {
  const command = spawnProcess(join(WORKSPACE_ROOT, `scripts/${program}.ts`), {
    args,
    env: { DATABASE_URL: database.url, NODE_ENV: undefined },
    hasInput: true,
  })
  command.stdin.end(input)
  const { code } = await command.exited
  return { code, output: [...command.stdout, ...command.stderr].join('\n') }
}

/** Runs the command without a process, for cases that end at the command line or the password. */
async function createHere(args: string[], input: string) {
  const { stdout, stderr, lines } = collectOutput()
  const stdin = Readable.from([Buffer.from(input)])
  const code = await runUserCommand(userCreate, args, { stdin, stdout, stderr })
  return { code, output: [...lines().stdout, ...lines().stderr].join('\n') }
}

const create = (input: string, email = EMAIL, role = 'owner') =>
  run('userCreate', ['--email', email, '--role', role], input)

const stored = () => database.prisma.user.findFirstOrThrow({ where: { email: EMAIL } })

test('a user is added with the password of standard input, and says it nowhere', async () => {
  const { code, output } = await create(`${PASSWORD}\n`, 'Ann@Example.org')
  expect({ code, output }).toEqual({ code: 0, output: `${EMAIL} may log in as owner.` })
  const { passwordHash, role } = await stored()
  expect(role).toBe('owner')
  expect(await verifyPassword(PASSWORD, passwordHash)).toBe(true)
})

test('one who is there already is left alone, with the remedy', async () => {
  await create(PASSWORD)
  const before = await stored()
  const { code, output } = await create('another long password', 'ANN@example.org', 'staff')
  expect(code).toBe(1)
  expect(output).toContain('pnpm user:password --email')
  expect(await stored()).toEqual(before)
})

test('a new password takes the place of the old one, and its instant is kept', async () => {
  await create(PASSWORD)
  const { code } = await run('userPassword', ['--email', EMAIL], 'another long password\r\n')
  expect(code).toBe(0)
  const { passwordHash, passwordChangedAt } = await stored()
  expect(await verifyPassword('another long password', passwordHash)).toBe(true)
  expect(passwordChangedAt).not.toBeNull()
})

test('nobody gets a new password who is not there', async () => {
  const { code, output } = await run('userPassword', ['--email', EMAIL], PASSWORD)
  expect(code).toBe(1)
  expect(output).toContain('pnpm user:create --email')
})

test.each([
  ['nothing', ''],
  ['too short a one', 'x'.repeat(11)],
  ['too long a one', 'x'.repeat(201)],
  ['one without end', 'x'.repeat(5_000_000)],
  ['that of the demo', 'roundsman-demo'],
  ['two lines', `${PASSWORD}\n${PASSWORD}`],
])('as a password %s is refused', async (kind, input) => {
  const { code, output } =
    kind === 'one without end'
      ? await create(input)
      : await createHere(['--email', EMAIL, '--role', 'owner'], input)
  expect(code).toBe(1)
  expect(output).toMatch(/^The password .*; nothing was changed$/)
  expect(await database.prisma.user.count()).toBe(0)
})

test.each([
  [['--help'], 0],
  [[], 2],
  [['--email', 'nobody', '--role', 'owner'], 2],
  [['--email', EMAIL, '--role', 'king'], 2],
  [['--email', EMAIL, '--role', 'owner', '--password', PASSWORD], 2],
  [['--email', EMAIL, '--role', 'owner', PASSWORD], 2],
])('asked with %o the command explains itself', async (args, code) => {
  const answer =
    args.length === 0 ? await run('userCreate', args, PASSWORD) : await createHere(args, PASSWORD)
  expect(answer.code).toBe(code)
  expect(answer.output).toContain('Usage: pnpm user:create')
  expect(await database.prisma.user.count()).toBe(0)
})

describe('at a terminal', () => {
  function openTerminal() {
    const raw: boolean[] = []
    const input = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (isRaw: boolean) => void raw.push(isRaw),
    })
    const output = new PassThrough()
    return { input, output, raw, shown: () => String(output.read() ?? '') }
  }
  /** Sends each key as it is pressed. */
  async function type(terminal: ReturnType<typeof openTerminal>, keys: string) {
    const answer = readPassword(terminal.input, terminal.output)
    for (const byte of Buffer.from(keys)) terminal.input.write(Buffer.of(byte))
    return await answer
  }

  test('a password is asked for twice and never shown', async () => {
    const terminal = openTerminal()
    expect(await type(terminal, 'Zoë 1x\u007f\rZoë 1\r')).toBe('Zoë 1')
    expect(terminal.raw).toEqual([true, false])
    expect(terminal.shown()).toBe('Password: \nOnce more: \n')
  })

  test('two that differ are none', async () => {
    expect(await type(openTerminal(), 'one\rother\r')).toBeUndefined()
  })

  test.each(['\u0003', '\u0004'])('%j ends it, and the terminal is as before', async (key) => {
    const terminal = openTerminal()
    await expect(type(terminal, `one${key}`)).rejects.toThrow(PromptEnded)
    expect(terminal.raw).toEqual([true, false])
  })
})

test.each([
  [{}, true],
  [{ HOST: '127.0.0.1' }, true],
  [{ HOST: '::1' }, true],
  [{ HOST: '0.0.0.0' }, false],
  [{ HOST: '0.0.0.0', DEMO_DATA: 'true' }, true],
  [{ HOST: 'localhost', DEMO_DATA: 'false' }, false],
])('with %o demo accounts may be added: %s', (env, may) => {
  expect(mayAddDemoData(env)).toBe(may)
})

test('what is deployed is production, and no known owner is put into its database', () => {
  const read = (name: string) => readFileSync(join(WORKSPACE_ROOT, name), 'utf8')
  const lines = read('Procfile').match(/^\w+: .*$/gm) ?? []
  expect(lines).toHaveLength(3)
  for (const line of lines) expect(line).toContain('NODE_ENV=production ')
  expect(read('.replit')).toContain('export NODE_ENV=production ')
  expect(read('.replit')).not.toContain('db:seed')
})
