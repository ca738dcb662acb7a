// Not quick: opens products, databases and consoles, and starts processes.
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { collectOutput, createTestDatabase, spawnProcess } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { exitCodeOf, type Command } from '../../src/command/runCommand.ts'
import { consoleCommand } from '../../src/config/consoleCommand.ts'
import { productCommands } from '../../src/config/productCommands.ts'
import {
  exportCommand,
  migrateCommand,
  uninstallCommand,
} from '../../src/migrate/migrateCommand.ts'
import { newCommand } from '../../src/newJob/newCommand.ts'
import { writeProduct } from '../init/product.ts'

const PACKAGES = join(import.meta.dirname, '../../..')
const JOB = 'dispatchEmail'

/** Where a setting may come from. */
type Source = 'flag' | 'config' | 'variable'
type Settings = Partial<Record<Source, string>>

const COMMANDS: Record<string, Command<never>> = {
  migrate: migrateCommand,
  export: exportCommand,
  uninstall: uninstallCommand,
  console: consoleCommand,
  ...productCommands,
  new: newCommand,
}

const EVERYWHERE = ['flag', 'config', 'variable'] as const
const NOT_BY_FLAG = ['config', 'variable'] as const

/** Which database a command takes, by what comes first, and what it says where nothing names one. */
const DATABASES: [line: string, order: readonly Source[], otherwise?: string][] = [
  ['migrate', EVERYWHERE],
  ['migrate --check', EVERYWHERE],
  ['migrate --sql', EVERYWHERE, 'create schema'],
  ['export', EVERYWHERE],
  ['console', NOT_BY_FLAG],
  ['list', NOT_BY_FLAG],
  ['check', NOT_BY_FLAG],
  [`once ${JOB}`, NOT_BY_FLAG],
  ['runs', NOT_BY_FLAG],
  ['dead-letters', NOT_BY_FLAG],
  [`queue pause ${JOB} --reason test`, NOT_BY_FLAG],
  ['work list', NOT_BY_FLAG],
  ['signal approved --key k --reason test', NOT_BY_FLAG],
  ['limits list', NOT_BY_FLAG],
  [`keys list ${JOB}`, NOT_BY_FLAG],
  ['schedules list', NOT_BY_FLAG],
]

/** Which schema. That the others read the configuration's, is told by what they count below. */
const SCHEMAS: [line: string, order: readonly Source[]][] = [
  ['migrate --sql', ['flag', 'config']],
  ['migrate --check', ['flag', 'config']],
  ['migrate', ['flag', 'config']],
  ['export', ['flag', 'config']],
  ['uninstall --sql', ['flag', 'config']],
  ['check', ['config']],
  ['console', ['config']],
]

/** How many a command shows without the flag, as its help says: counted in what it prints as JSON. */
const COUNTS: [
  line: string,
  flag: string,
  otherwise: number,
  read: (printed: Printed) => unknown[],
][] = [
  ['list --json', '--next', 3, ({ jobs }) => jobs[0]?.schedule.next ?? []],
  ['runs --json', '--limit', 20, ({ runs }) => runs],
  ['dead-letters --json', '--limit', 20, ({ deadLetters }) => deadLetters],
  ['work list --json', '--limit', 20, ({ work }) => work],
  [`keys list ${JOB} --json`, '--limit', 20, ({ keys }) => keys],
  ['schedules list --json', '--limit', 20, ({ schedules }) => schedules],
]

type Printed = Record<'runs' | 'deadLetters' | 'work' | 'keys' | 'schedules', unknown[]> & {
  jobs: { schedule: { next: unknown[] } }[]
}

const home = process.cwd()
let database: Awaited<ReturnType<typeof createTestDatabase>>
let client: pg.Client

beforeAll(async () => {
  database = await createTestDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query(`
    insert into "JobRun" ("id", "name", "trigger", "workerId")
    select gen_random_uuid(), '${JOB}', 'queue', 'w1' from generate_series(1, 30)`)
  await client.query(`
    insert into "JobWork" ("id", "name", "key", "bytes", "payload")
    select gen_random_uuid(), '${JOB}', 'tenant-' || n, 2, '{}' from generate_series(1, 30) n`)
  await client.query(`
    insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage")
    select gen_random_uuid(), '${JOB}', 2, '{}', 'gone', '' from generate_series(1, 30)`)
  await client.query(`
    insert into "JobSchedule" ("name", "key", "version", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "bytes",
      "cursor", "delayMs", "tzdata")
    select '${JOB}', 'tenant-' || n, 1, '0 9 * * *', 'UTC', 'once', 1, 'skip', 0, 0, now(), 0, '' from generate_series(1, 30) n`)
})

afterAll(async () => {
  await client.end()
  await database.drop()
})

// Commands work in the folder of the configuration.
afterEach(() => process.chdir(home))

/** Opens a product whose configuration names these. */
async function openProduct({ databaseUrl, schema }: { databaseUrl?: string; schema?: string }) {
  const engine = join(PACKAGES, 'engine/src/index.ts')
  const root = await writeProduct({
    'roundsman.config.ts': `
      import pg from ${JSON.stringify(createRequire(import.meta.url).resolve('pg'))}
      import { defineJob } from ${JSON.stringify(engine)}
      const schedule = { cron: '* * * * *' }
      export default {
        ...${JSON.stringify({ databaseUrl, schema })},
        jobs: [defineJob({ name: '${JOB}', description: 'Sends mail.', schedule })],
        open: () => ({ client: new pg.Pool({ connectionString: '${databaseUrl ?? 'postgresql://127.0.0.1:9'}' }), handlers: { ${JOB}: ({ payload }) => ({ seen: JSON.stringify(payload) }) } }),
      }`,
    'src/jobs/index.ts': `import { defineJob } from '@roundsman/engine'\n\nexport const jobs = [] as const\n`,
    'src/jobs/handlers.ts': `import type { HandlersFor } from '@roundsman/engine'\nimport type { jobs } from './index.ts'\n\nexport const handlers: HandlersFor<typeof jobs> = {}\n`,
  })
  process.chdir(root)
  return root
}

/** Runs a command line here, and returns all that it writes. A console is stopped once it is open. */
async function run(line: string, flags: string[], variables: NodeJS.ProcessEnv): Promise<string> {
  const [name = '', ...args] = line.split(' ')
  const { stdout, stderr, texts } = collectOutput()
  const terminal = { variables, stdout, stderr, listenForStop: () => AbortSignal.abort('SIGTERM') }
  await exitCodeOf(COMMANDS[name] as Command, [...args, ...flags], terminal)
  return Object.values(texts()).join('')
}

/** All choices of some of these. */
function subsets(order: readonly Source[]): Source[][] {
  return order.reduce<Source[][]>(
    (found, one) => [...found, ...found.map((some) => [...some, one])],
    [[]],
  )
}

/** Each case once: what is set, and which of it has to win. */
function cases<Row extends readonly [string, readonly Source[], ...unknown[]]>(
  rows: readonly Row[],
) {
  return rows.flatMap((row) =>
    subsets(row[1]).map((given) => ({
      line: row[0],
      given,
      said: given.join(', ') || 'nothing',
      winner: row[1].find((source) => given.includes(source)),
      row,
    })),
  )
}

const only = (given: readonly Source[], values: Record<Source, string>): Settings =>
  Object.fromEntries(given.map((source) => [source, values[source]]))

describe('the database', () => {
  /** Nobody listens there, and the error names the port. */
  const PORTS = { flag: '1', config: '2', variable: '3' }
  const addressOf = (port: string) => `postgresql://ada@127.0.0.1:${port}/shop`

  it.each(cases(DATABASES))('of roundsman $line, where it is said by $said', async (one) => {
    const { flag, config, variable } = only(one.given, {
      flag: addressOf(PORTS.flag),
      config: addressOf(PORTS.config),
      variable: addressOf(PORTS.variable),
    })
    await openProduct({ ...(config !== undefined && { databaseUrl: config }) })
    const flags = flag === undefined ? [] : ['--database-url', flag]
    const text = await run(one.line, flags, { DATABASE_URL: variable })
    const found = new Set(text.match(/127\.0\.0\.1:\d+|DATABASE_URL is not set|create schema/g))
    const [, , otherwise = 'DATABASE_URL is not set'] = one.row
    expect(found).toEqual(
      new Set([one.winner === undefined ? otherwise : `127.0.0.1:${PORTS[one.winner]}`]),
    )
  })

  it('of roundsman check is the one that --against names, whatever else is said', async () => {
    await openProduct({ databaseUrl: addressOf(PORTS.config), schema: 'public' })
    const check = (url: string) =>
      run('check', ['--json', '--against', url], { DATABASE_URL: addressOf(PORTS.variable) })
    expect(await check(addressOf(PORTS.flag))).toMatch(/127\.0\.0\.1:1\b/)
    expect(JSON.parse(await check(database.url))).toMatchObject({ isOk: true, unchecked: [] })
  })

  it('is that of a variable that is set rather than that of a file, which --env-file names', async () => {
    const root = await openProduct({})
    await writeFile(join(root, 'env'), `DATABASE_URL=${addressOf('4')}\n`)
    const read = async (variables: Record<string, string | undefined>) => {
      const args = ['migrate', '--check', '--env-file', 'env']
      const started = spawnProcess(join(PACKAGES, 'cli/src/main.ts'), {
        args,
        cwd: root,
        env: variables,
      })
      await started.exited
      return [...started.stdout, ...started.stderr].join('\n')
    }
    expect(await read({ DATABASE_URL: addressOf('3') })).toContain('127.0.0.1:3')
    expect(await read({ DATABASE_URL: undefined })).toContain('127.0.0.1:4')
  })
})

describe('the schema', () => {
  const NAMES = { flag: 'by_flag', config: 'by_config', variable: '' }

  it.each(cases(SCHEMAS))('of roundsman $line, where it is said by $said', async (one) => {
    const { flag, config } = only(one.given, NAMES)
    const flags = flag === undefined ? [] : ['--schema', flag]
    const makes = one.line === 'migrate'
    const place = makes ? await createTestDatabase({ migrated: false }) : database
    await openProduct({ ...(config !== undefined && { schema: config }) })
    let text = await run(one.line, flags, { DATABASE_URL: place.url })
    if (makes) {
      const looking = new pg.Client({ connectionString: place.url })
      await looking.connect()
      const { rows } = await looking.query<{ nspname: string }>('select nspname from pg_namespace')
      await looking.end()
      await place.drop()
      text = rows.map(({ nspname }) => nspname).join('\n')
    }
    const found = new Set(text.match(/(?<=^|schema |")(by_flag|by_config|roundsman)(?=$|"| of )/gm))
    expect(found).toEqual(new Set([one.winner === undefined ? 'roundsman' : NAMES[one.winner]]))
  })
})

describe('what a command does without a flag', () => {
  const open = () => openProduct({ databaseUrl: database.url, schema: 'public' })

  it.each(COUNTS)(
    '%s shows as many as its help says without %s: %d',
    async (line, flag, otherwise, read) => {
      const [name = ''] = line.split(' ')
      await open()
      const count = async (flags: string[]) =>
        read(JSON.parse(await run(line, flags, {})) as Printed).length
      expect(COMMANDS[name]?.usage).toMatch(new RegExp(`^ +${flag} N .*default ${otherwise}$`, 'm'))
      expect(await count([])).toBe(otherwise)
      expect(await count([flag, '7'])).toBe(7)
    },
  )

  it('keys list puts what has most that waits first', async () => {
    await open()
    await client.query(`
      insert into "JobWork" ("id", "name", "key", "bytes", "payload")
      select gen_random_uuid(), '${JOB}', 'tenant-30', 2, '{}' from generate_series(1, 2)`)
    const list = async (...flags: string[]) => {
      const printed = JSON.parse(await run(`keys list ${JOB} --limit 1 --json`, flags, {})) as {
        keys: { key: string; waiting: number }[]
      }
      return printed.keys
    }
    expect(await list()).toMatchObject([{ key: 'tenant-30', waiting: 3 }])
    expect(await list()).toEqual(await list('--order', 'waiting'))
  })

  it('once runs a job with the payload {}', async () => {
    await open()
    const line = `once ${JOB} --json`
    expect(await run(line, [], {})).toMatch(/"seen": ?"\{\}"/)
    expect(await run(line, ['--payload', '{"a":1}'], {})).toContain('--payload does not fit')
  })

  it('new adds a job without a schedule', async () => {
    const root = await open()
    const jobs = join(root, 'src/jobs/index.ts')
    const add = async (...args: string[]) => {
      const before = await readFile(jobs, 'utf8')
      await run('new', args, {})
      return (await readFile(jobs, 'utf8')).replace(before.split('export const jobs')[0] ?? '', '')
    }
    const first = await add('sendReminders')
    expect(first).toContain("name: 'sendReminders'")
    expect(first).not.toContain('schedule')
    expect(await add('sendBills', '--schedule', '0 4 * * *')).toMatch(/cron: '0 4 \* \* \*'/)
  })

  it('new names the package manager of the product', async () => {
    const root = await open()
    expect(await run('new', ['sendReminders'], {})).toContain('npx roundsman once sendReminders')
    await writeFile(join(root, 'pnpm-lock.yaml'), '')
    expect(await run('new', ['sendBills'], {})).toContain('pnpm roundsman once sendBills')
  })

  it('check says how tables come that are missing, by the package manager of the product', async () => {
    const place = await createTestDatabase({ migrated: false })
    const root = await openProduct({ databaseUrl: place.url })
    await writeFile(join(root, 'pnpm-lock.yaml'), '')
    const text = (await run('check', [], {})).replaceAll(/\s+/g, ' ')
    await place.drop()
    expect(text).toMatch(/ database are missing Remedy: run pnpm roundsman migrate, or leave the/)
    expect(text).not.toMatch(/npx|correct/)
  })

  it('roundsman without a command lists those there are', async () => {
    const bare = spawnProcess(join(PACKAGES, 'cli/src/main.ts'))
    expect(await bare.exited).toMatchObject({ code: 2 })
    expect(bare.stderr.join('\n')).toMatch(/^Usage: .*\n\n {2}init .*\n[^]*\n {2}console /)
    expect(bare.stdout).toEqual([])
  })

  it('console listens on 127.0.0.1 and a free port', async () => {
    await open()
    const link = async (...flags: string[]) =>
      new URL(/http\S+/.exec(await run('console', flags, {}))?.[0] ?? '').host
    expect(await link()).toMatch(/^127\.0\.0\.1:[1-9]\d+$/)
    expect(await link('--host', '0.0.0.0')).toMatch(/^0\.0\.0\.0:\d+$/)
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port } = free.address() as AddressInfo
    await once(free.close(), 'close')
    expect(await link('--port', String(port))).toBe(`127.0.0.1:${port}`)
  })

  it('console says of a port or an address that cannot be had which flag names another', async () => {
    await open()
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    expect(await run('console', ['--port', String(port)], {})).toContain(
      `--port cannot be listened on: listen EADDRINUSE`,
    )
    await once(taken.close(), 'close')
    expect(await run('console', ['--host', '203.0.113.1'], {})).toContain(
      '--host cannot be listened on: listen EADDRNOTAVAIL',
    )
    expect(await run('console', ['--host', ''], {})).toContain('--host is empty; name an address')
  })
})

it('leaves out no flag whose help names a default', () => {
  const told = Object.entries(COMMANDS).flatMap(([name, { usage }]) =>
    [...usage.matchAll(/^ +(--[a-z-]+)\b.*\bdefault\b/gim)].map(([, flag]) => `${name} ${flag}`),
  )
  const held = [
    ...DATABASES.filter(([, order]) => order.includes('flag')).map(
      ([line]) => `${line} --database-url`,
    ),
    ...SCHEMAS.filter(([, order]) => order.includes('flag')).map(([line]) => `${line} --schema`),
    ...COUNTS.map(([line, flag]) => `${line} ${flag}`),
    ...['console --port', 'console --host'],
    ...['new --schedule', 'once --payload', 'keys --order', 'signal --payload', 'signal --id'],
  ].map((line) => `${line.split(' ')[0]} ${line.split(' ').at(-1)}`)
  expect(new Set(told)).toEqual(new Set(held))
})
