// Not quick: builds packages and starts processes.
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withConnection } from '@roundsman/db/admin'
import { createTestDatabase, spawnProcess, waitFor } from '@roundsman/testing'
import { expect, inject, it, onTestFinished } from 'vitest'
import { writeProduct } from '../../../packages/cli/test/init/product.ts'
import { link } from './installPacked.ts'

const packages = inject('installed')

/** As a bundler has it: no "type", an alias, imports without endings, and a module that only guards browsers. */
const FILES = {
  'package.json': { name: 'shop', private: true },
  'tsconfig.json': {
    compilerOptions: {
      module: 'esnext',
      moduleResolution: 'bundler',
      noEmit: true,
      jsx: 'preserve',
      paths: { '@/*': ['./*'] },
    },
  },
  'roundsman.config.ts': `import { defineConfig } from 'roundsman'
import { jobs } from './jobs'

export default defineConfig({
  jobs,
  async open() {
    const { pool } = await import('./lib/db')
    const { handlers } = await import('./jobs/handlers')
    return { client: pool, handlers, close: () => pool.end() }
  },
})
`,
  'lib/db.ts': `import 'server-only'
import { Pool } from 'pg'

export const pool = new Pool({ connectionString: process.env.DATABASE_URL })
`,
  'node_modules/react/package.json': { name: 'react', exports: { './jsx-runtime': './jsx.js' } },
  'node_modules/react/jsx.js': 'exports.jsx = (type) => ({ type })\n',
  'lib/mail.tsx': `export const kindOf = (): string => typeof (() => <b />)\n`,
  'jobs/index.ts': `import { defineJob } from '@roundsman/engine'

export const greet = defineJob({ name: 'greet', schedule: { cron: '* * * * * *', overlap: 'allow' } })
export const jobs = [greet] as const
`,
  'jobs/handlers.ts': `import { kindOf } from '@/lib/mail'
import { word } from './word'

export const handlers = {
  async greet({ log, signal }: { log: Console; signal: AbortSignal }) {
    log.info(\`greets \${word} \${kindOf()}\`)
    for (let n = 0; n < 60 && word === 'slowly'; n += 1) {
      signal.throwIfAborted()
      await new Promise((done) => setTimeout(done, 100))
    }
    log.info(\`greeted \${word}\`)
  },
}
`,
  'jobs/word.ts': `export const word = 'first'\n`,
}

async function openShop() {
  const root = await writeProduct(FILES)
  for (const name of ['roundsman', '@roundsman/engine', 'pg']) {
    await link(packages.folders[name]!, join(root, 'node_modules', name))
  }
  const database = await createTestDatabase({ migrated: false })
  onTestFinished(database.drop)
  const env = { DATABASE_URL: database.url, NO_COLOR: '1' }
  const roundsman = (...args: string[]) =>
    spawnProcess(packages.bin, { args, env, cwd: root, isBuilt: true })
  return { root, env, url: database.url, roundsman }
}

async function query<Row>(url: string, text: string): Promise<Row[]> {
  const database = { url, applicationName: 'test' }
  return await withConnection(database, async (client) => (await client.query(text)).rows as Row[])
}

it('worker runs the handlers of the configuration, and says which command makes the tables', async () => {
  const { roundsman } = await openShop()

  const early = roundsman('worker')
  expect(await early.exited).toEqual({ code: 1, signal: null })
  expect(early.stderr).toEqual([expect.stringContaining('run npx roundsman migrate')])

  await roundsman('migrate').exited
  const worker = roundsman('worker')
  await worker.waitForLine('greeted first')
  expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(worker.stderr).toEqual([])
})

it('build writes one file that migrates and works where there are no sources and no packages', async () => {
  const { root, env, roundsman } = await openShop()
  const built = roundsman('build')
  expect(await built.exited, built.stderr.join('\n')).toEqual({ code: 0, signal: null })
  expect(await readFile(join(root, '.roundsman/.gitignore'), 'utf8')).toBe('*\n')
  const elsewhere = await writeProduct({})
  await cp(join(root, '.roundsman/worker.mjs'), join(elsewhere, 'worker.mjs'))
  await rm(root, { recursive: true })
  const startIn = (variables: Record<string, string>, args: string[]) =>
    spawnProcess(join(elsewhere, 'worker.mjs'), {
      args,
      env: variables,
      cwd: elsewhere,
      isBuilt: true,
    })
  const start = (...args: string[]) => startIn(env, args)

  // What somebody outside has to mend is said without a stack.
  for (const [early, said] of [
    [start('migrat'), 'There is no command "migrat"'],
    [startIn({ DATABASE_URL: '' }, []), 'DATABASE_URL is not set'],
    [startIn({ DATABASE_URL: '' }, ['migrate']), 'DATABASE_URL is not set'],
    [
      startIn({ DATABASE_URL: 'postgres://127.0.0.1:1/shop' }, []),
      'can not be used: nothing listens at 127.0.0.1:1;',
    ],
    [startIn({ DATABASE_URL: 'postgres://127.0.0.1:1/shop' }, ['migrate']), 'ECONNREFUSED'],
    [start(), 'run npx roundsman migrate'],
  ] as const) {
    expect(await early.exited).toEqual({ code: 1, signal: null })
    expect(early.stderr).toEqual([expect.stringContaining(said)])
  }
  const migrated = start('migrate')
  expect(await migrated.exited, migrated.stderr.join('\n')).toEqual({ code: 0, signal: null })
  expect(migrated.stdout).toEqual(['The tables are made, in the schema roundsman.'])
  const worker = start()
  await worker.waitForLine('greeted first')
  expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(worker.stderr).toEqual([])
})

it('build leaves out what it is told to, and fails for what it cannot resolve', async () => {
  const { root, roundsman } = await openShop()
  expect(
    await roundsman('build', '--external', 'pg', '--out', 'out/jobs.mjs').exited,
  ).toMatchObject({
    code: 0,
  })
  expect(await readFile(join(root, 'out/jobs.mjs'), 'utf8')).toMatch(/from ["']pg["']/)

  await writeFile(join(root, 'jobs/word.ts'), `export { word } from './gone'\n`)
  const failed = roundsman('build')
  expect(await failed.exited).toMatchObject({ code: 1 })
  expect(failed.stderr.join('\n')).toContain('./gone')

  await writeFile(join(root, 'jobs/word.ts'), `export { word } from 'gone'\n`)
  const uninstalled = roundsman('build')
  expect(await uninstalled.exited).toMatchObject({ code: 1 })
  expect(uninstalled.stderr.join('\n')).toContain('word.ts imports gone, which is not installed')
})

it('dev starts the worker anew with each change, and lets what runs finish', async () => {
  const { root, url, roundsman } = await openShop()
  await writeFile(join(root, 'jobs/word.ts'), `export const word: string = 'slowly'\n`)
  const dev = roundsman('dev')
  await dev.waitForLine('The tables are made')
  await dev.waitForLine('greets slowly')

  await writeFile(join(root, 'jobs/word.ts'), `export const word: string = 'second'\n`)
  await dev.waitForLine('greeted second')
  // A second signal would abort the first worker's run.
  await writeFile(join(root, 'jobs/word.ts'), `export const word: string = 'third'\n`)
  await dev.waitForLine('greeted third')
  await dev.waitForLine('greeted slowly')

  await writeFile(join(root, 'jobs/word.ts'), `export const word: string = ;\n`)
  await dev.waitForLine('word.ts')
  const before = dev.stdout.length
  await waitFor(() => dev.stdout.slice(before).some((line) => line.includes('greeted third')), {
    message: 'The worker before the error goes on',
  })

  expect(await dev.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(await query(url, `select from roundsman."JobRun" where status <> 'success'`)).toEqual([])
})

const OPENS_LATER = `import { existsSync } from 'node:fs'

if (!existsSync('open')) throw new Error('closed')
`

it('dev starts a worker that ended again until it works, and says so once', async () => {
  const { root, url, roundsman } = await openShop()
  const handlers = join(root, 'jobs/handlers.ts')
  await writeFile(handlers, `${OPENS_LATER}${await readFile(handlers, 'utf8')}`)
  const dev = roundsman('dev')
  const isClosed = (line: string) => /^Error: closed|\bclosed$/.test(line)
  await waitFor(() => dev.stderr.filter(isClosed).length >= 2, { message: 'The second worker' })
  await writeFile(join(root, 'open'), '')
  // One each second, so that another 5 s are over.
  const isGreeting = (line: string) => line.includes('greeted first')
  await waitFor(() => dev.stdout.filter(isGreeting).length > 6, { message: 'Seven greetings' })
  const said = 'roundsman dev: the worker ended with 1; starts again in 5 s, or when a file changes'
  expect(dev.stderr.filter((line) => line.startsWith('roundsman dev:'))).toEqual([said])
  expect(await query(url, `select from roundsman."JobWorker"`)).toHaveLength(1)
  expect(await dev.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

it('dev serves the console, and enqueues the first job of init unless it ran before', async () => {
  const { root, url, roundsman } = await openShop()
  const index = join(root, 'jobs/index.ts')
  await writeFile(
    index,
    (await readFile(index, 'utf8'))
      .replaceAll('greet', 'measureDatabase')
      .replace(/, schedule: .*\} \}/, ' }'),
  )
  const handlers = join(root, 'jobs/handlers.ts')
  await writeFile(
    handlers,
    (await readFile(handlers, 'utf8')).replace('greet(', 'measureDatabase('),
  )
  for (const isFirst of [true, false]) {
    const dev = roundsman('dev')
    await dev.waitForLine('The console: ')
    const [, address = ''] = /The console: (\S+)/.exec(dev.stdout.join('\n')) ?? []
    const opened = await fetch(address, { redirect: 'manual' })
    const cookie = opened.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const listRuns = async () => {
      const response = await fetch(new URL('/api/jobs/runs', address), { headers: { cookie } })
      return ((await response.json()) as { runs: { status: string }[] }).runs
    }
    await waitFor(async () => (await listRuns()).some(({ status }) => status === 'success'), {
      message: 'The first run, in the console',
    })
    expect(dev.stdout.some((line) => line.includes('is enqueued'))).toBe(isFirst)
    expect(await dev.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  }
  expect(await query(url, `select from roundsman."JobRun"`)).toHaveLength(1)
})

it('dev uses a database elsewhere only where somebody says so, and never in production', async () => {
  const { env, roundsman } = await openShop()
  env.DATABASE_URL = 'postgres://shop:secret@db.example.invalid:5433/orders'
  const dev = roundsman('dev')
  expect(await dev.exited).toEqual({ code: 1, signal: null })
  expect(dev.stdout.join(' ')).toMatch(/"orders" at db\.example\.invalid:5433.*roundsman dev --yes/)
  expect(dev.stdout.join(' ')).not.toContain('secret')

  const told = roundsman('dev', '--yes')
  expect(await told.exited).toEqual({ code: 1, signal: null })
  expect(told.stderr.join(' ')).toContain('db.example.invalid')

  Object.assign(env, { NODE_ENV: 'production' })
  const refused = roundsman('dev', '--yes')
  expect(await refused.exited).toEqual({ code: 1, signal: null })
  expect(refused.stderr).toEqual([expect.stringContaining('NODE_ENV is production')])
})

it('dev starts the embedded PostgreSQL, and keeps its address in .env', async () => {
  const { root, env, roundsman } = await openShop()
  await link(
    packages.folders['@roundsman/local-postgres']!,
    join(root, 'node_modules/@roundsman/local-postgres'),
  )
  Object.assign(env, { DATABASE_URL: undefined })
  await writeFile(join(root, '.env'), 'SECRET=mine')
  let written: string | null = null
  for (let time = 0; time < 2; time += 1) {
    const dev = roundsman('dev')
    await dev.waitForLine('greeted first')
    const text = await readFile(join(root, '.env'), 'utf8')
    expect(text).toMatch(
      /^SECRET=mine\nDATABASE_URL=postgresql:\/\/roundsman:\w+@127\.0\.0\.1:\d+\/roundsman\n$/,
    )
    expect(text).toBe((written ??= text))
    expect(await dev.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  }
})

it('dev that is killed takes its worker along', async () => {
  const { url, roundsman } = await openShop()
  const dev = roundsman('dev')
  await dev.waitForLine('greeted first')
  expect(await query(url, `select from roundsman."JobWorker"`)).toHaveLength(1)
  await dev.kill('SIGKILL')
  await waitFor(async () => (await query(url, `select from roundsman."JobWorker"`)).length === 0, {
    message: 'The end of its worker',
  })
})
