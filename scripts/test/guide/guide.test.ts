// Not quick: starts processes.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestDatabase, spawnProcess, waitFor, type ProcessExit } from '@roundsman/testing'
import { migrate } from '@roundsman/engine/migrate'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
import { WORKSPACE_ROOT } from '../stack.ts'
import { compile, openGuide, type Guide } from './openGuide.ts'

// `pnpm test:hosts` walks that of Next.js, in a product.
const RECIPES = (await listPages('docs/recipes')).filter(({ name }) => name !== 'nextjs')
const CONCEPTS = await listPages('docs/concepts')
const COMING_FROM = await listPages('docs/comingFrom')

/** Their programs are run below, except that of BullMQ; that of claim is SQL alone. */
const HAS_NO_TEST: ReadonlySet<string> = new Set([
  ...['claim', 'drain', 'isolation', 'job', 'limits', 'work'].map(
    (name) => `docs/concepts/${name}.md`,
  ),
  ...['bullmq', 'graphileWorker', 'nodeCronAndAgenda', 'pgBoss', 'program'].map(
    (name) => `docs/comingFrom/${name}.md`,
  ),
])

const WITH_TEST = [...RECIPES, ...CONCEPTS, ...COMING_FROM].filter(
  ({ path }) => !HAS_NO_TEST.has(path),
)

/** Programs of which a recipe shows all files. */
const EXAMPLES = await readdir(join(WORKSPACE_ROOT, 'docs/examples'))

/** Work of the job `$1` that a worker ends without its handler, which would call a service that is not there. */
const INSERT_EXPIRED = `insert into roundsman."JobWork" ("id", "name", "bytes", "payload", "facts")
  values (gen_random_uuid(), $1, 2, '{}', '{ "expiresAt": "2026-01-01T00:00:00Z" }')`

const FIND_SOURCES = new URL('findSources.ts', import.meta.url).href

let guide: Guide
beforeAll(async () => {
  const pages = [...RECIPES, ...CONCEPTS, ...COMING_FROM].map(({ path }) => path)
  const frameworks = ['express', 'nest', 'node', 'openTelemetry', 'sentry'].map(
    (name) => `docs/frameworks/${name}.md`,
  )
  guide = await openGuide([
    'README.md',
    'docs/quickStart.md',
    'docs/observability.md',
    ...frameworks,
    ...pages,
  ])
})
afterAll(() => guide.close())

test('every block of the pages with programs compiles', async () => {
  expect(await compile(guide.folder)).toBe('')
})

describe.concurrent('the tests of the pages pass', () => {
  test.for(WITH_TEST)('$name', async ({ name }, { onTestFinished }) => {
    const tests = guide.files.get(name)?.filter((file) => file.endsWith('.test.ts')) ?? []
    const { url, drop } = await createTestDatabase({ migrated: false })
    onTestFinished(drop)
    expect(tests).toHaveLength(1)
    const program = spawnProcess(join(guide.folder, name, tests[0] ?? ''), {
      env: environment(url),
    })
    const exit = await program.exited
    expect(exit, [...program.stdout, ...program.stderr].join('\n')).toEqual({
      code: 0,
      signal: null,
    })
  })
})

describe.concurrent('docs/examples', () => {
  test.for(EXAMPLES)('the recipe %s shows its files as they are', async (name) => {
    const example = join(WORKSPACE_ROOT, 'docs/examples', name)
    const files = await readdir(join(example, 'src'), { recursive: true })
    const sources = files.filter((file) => file.endsWith('.ts')).map((file) => join('src', file))
    expect(guide.files.get(name)?.toSorted()).toEqual(sources.toSorted())
    for (const file of sources)
      expect(await readFile(join(guide.folder, name, file), 'utf8')).toBe(
        await readFile(join(example, file), 'utf8'),
      )
  })

  test.for(EXAMPLES)('the worker of %s takes its job', async (name, context) => {
    const { url, query } = await openTables(context)
    const jobs = await readFile(join(guide.folder, name, 'src/jobs/index.ts'), 'utf8')
    await query(INSERT_EXPIRED, [/defineJob\(\{\s*name: '(\w+)'/.exec(jobs)?.[1]])
    const exit = await runUntil(join(name, 'src/main.ts'), url, async () => {
      const { rowCount } = await query('select from roundsman."JobRun"')
      return rowCount === 1
    })
    expect(exit).toEqual({ code: 0, signal: null })
  })
})

/** Programs that welcome new users: with what products come from, except BullMQ, because there is no Redis; and with ours. */
const WELCOMING = [
  'pgBoss/src',
  'graphileWorker/src',
  'nodeCronAndAgenda/agenda/src',
  'program/src',
]

describe.concurrent('the programs of coming from elsewhere do what ours does', () => {
  test.for(WELCOMING)('%s', async (folder, context) => {
    const { url, query } = await openTables(context)
    const exit = await runUntil(join(folder, 'main.ts'), url, async () => {
      const { rowCount } = await query('select from users where welcomed_at is not null')
      return rowCount === 1
    })
    expect(exit).toEqual({ code: 0, signal: null })
  })

  test.for(['main.ts', 'after.ts'])('nodeCronAndAgenda/node-cron/src/%s', async (file, context) => {
    const { url, query } = await openTables(context)
    await query(
      `insert into sessions values (1, now() - interval '1 day'), (2, now() + interval '1 day')`,
    )
    const exit = await runUntil(join('nodeCronAndAgenda/node-cron/src', file), url, async () => {
      const { rows } = await query('select id from sessions')
      return rows.length === 1 && rows[0]?.['id'] === 2
    })
    expect(exit).toEqual({ code: 0, signal: null })
  })
})

test('the definitions of the concepts are accepted', async () => {
  const pages = ['isolation', 'job', 'limits']
  const program = join(guide.folder, 'definitions.ts')
  await writeFile(program, pages.map((page) => `import './${page}/src/jobs/index.ts'\n`).join(''))
  const { exited, stderr } = spawnProcess(program, { env: environment('') })
  expect(await exited, stderr.join('\n')).toEqual({ code: 0, signal: null })
})

test('the program of work enqueues in the transaction that signs somebody up', async (context) => {
  const { url, query } = await openTables(context)
  await writeFile(
    join(guide.folder, 'work/src/main.ts'),
    `import { signUp } from './signUp.ts'\nawait signUp('reader@example.com')\n`,
  )
  await runUntil('work/src/main.ts', url, async () => {
    const { rowCount } = await query('select from users')
    return rowCount === 1
  })
  const { rows } = await query('select "name", "payload" from roundsman."JobWork"')
  expect(rows).toEqual([{ name: 'welcome', payload: { email: 'reader@example.com' } }])
})

test('the worker of drain stops when it is told to', async (context) => {
  const { url, query } = await openTables(context)
  await query(INSERT_EXPIRED, ['crunch'])
  const exit = await runUntil('drain/src/worker.ts', url, async () => {
    const { rowCount } = await query('select from roundsman."JobRun"')
    return rowCount === 1
  })
  expect(exit).toEqual({ code: 0, signal: null })
})

test('the program in one file makes its tables, and runs its job', async ({ onTestFinished }) => {
  const { url, drop } = await createTestDatabase({ migrated: false })
  onTestFinished(drop)
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  pool.on('error', () => undefined)
  onTestFinished(() => pool.end())
  const exit = await runUntil('node/hello.mts', url, async () => {
    const { rows } = await pool.query(`select to_regclass('roundsman."JobRun"') as made`)
    if (rows[0]?.['made'] === null) return false
    const text = `select from roundsman."JobRun" where "name" = 'hello' and "status" = 'success'`
    const { rowCount } = await pool.query(text)
    return (rowCount ?? 0) > 0
  })
  expect(exit).toEqual({ code: 0, signal: null })
})

test('each page of coming from elsewhere has a program', () => {
  const without = COMING_FROM.filter(({ name }) => guide.files.get(name)?.length === 0)
  expect(without).toEqual([])
})

/** Makes the tables on which the programs work, and ours. */
async function openTables({ onTestFinished }: TestContext) {
  const { url, drop } = await createTestDatabase({ migrated: false })
  onTestFinished(drop)
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  pool.on('error', () => undefined)
  onTestFinished(() => pool.end())
  const query = (text: string, values: unknown[] = []) =>
    pool.query<Record<string, unknown>>(text, values)
  await query('create table users (id serial primary key, email text, welcomed_at timestamptz)')
  await query('create table digests (users int, at timestamptz default now())')
  await query('create table sessions (id int primary key, expires_at timestamptz)')
  await migrate({ databaseUrl: url })
  return { url, query }
}

async function runUntil(
  file: string,
  url: string,
  isDone: () => Promise<boolean>,
): Promise<ProcessExit> {
  const program = spawnProcess(join(guide.folder, file), { env: environment(url) })
  const ended = program.exited.then((exit) => {
    throw new Error(
      `It ended with ${JSON.stringify(exit)}:\n${[...program.stdout, ...program.stderr].join('\n')}`,
    )
  })
  ended.catch(() => undefined)
  await Promise.race([waitFor(isDone, { timeoutMs: 60_000, message: file }), ended])
  return await program.kill()
}

function environment(url: string): Record<string, string> {
  return { DATABASE_URL: url, NODE_OPTIONS: `--import=${FIND_SOURCES}` }
}

async function listPages(folder: string): Promise<{ name: string; path: string }[]> {
  const files = await readdir(join(WORKSPACE_ROOT, folder))
  return files
    .toSorted()
    .map((file) => ({ name: file.replace(/\.md$/, ''), path: join(folder, file) }))
}
