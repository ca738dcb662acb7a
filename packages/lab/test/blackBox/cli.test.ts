// Not quick: starts processes.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { EnqueueOptions, Job, PayloadOf } from '@roundsman/engine'
import { createJobsClient } from '@roundsman/engine/client'
import { migrate } from '@roundsman/engine/migrate'
import { createWorker } from '@roundsman/engine/worker'
import { createTestDatabase, openForTests, spawnProcess } from '@roundsman/testing'
import pg from 'pg'
import { describe } from 'vitest'
import { byTenant, callPartner, handlers, jobs, mail, purge, remind } from './fixtures/product.ts'
import { inTransaction } from './openProduct.ts'
import { openRecordings, PATIENCE_MS } from './recordings.ts'

const recorded = openRecordings('cli')

const PROGRAM = join(import.meta.dirname, '../../../cli/src/main.ts')
/** The folder of the product's roundsman.config.ts. */
const PRODUCT = join(import.meta.dirname, 'fixtures')
const UNKNOWN = '01890000-0000-7000-8000-000000000001'
const LATER = new Date('2090-01-01T00:00:00Z')
const REASON = ['--reason', 'a case']

interface Where {
  cwd?: string
  databaseUrl?: string | undefined
}

/** Runs `roundsman …` as a process. */
async function run(line: string, more: string[] = [], { cwd = PRODUCT, databaseUrl }: Where = {}) {
  const child = spawnProcess(PROGRAM, {
    args: [...line.split(' '), ...more].filter(Boolean),
    cwd,
    env: {
      SHOP_DATABASE: databaseUrl ?? place.url,
      SHOP_SCHEMA: undefined,
      DATABASE_URL: undefined,
    },
  })
  const { code } = await child.exited
  const text = child.stdout.join('\n')
  const printed = text.startsWith('{')
    ? { json: JSON.parse(text, withoutLeaving) as Record<string, unknown> }
    : { stdout: text !== '' }
  return { code, ...printed, ...(code === 0 ? {} : { stderr: child.stderr.length > 0 }) }
}

const { username } = userInfo()
/** Without what leaves soon (acts that workers carry on), and without who runs the tests. */
function withoutLeaving(key: string, value: unknown): unknown {
  if (key === 'passed') return undefined
  return key === 'actor' && value === username ? '<user>' : value
}

/** The product with something of all that there is to list, and no worker. */
const place = openForTests(async () => {
  const { url, drop } = await createTestDatabase({ migrated: false })
  await migrate({ databaseUrl: url })
  const silent = { error() {}, warn() {}, info() {} }
  const pool = new pg.Pool({ connectionString: url, max: 5 })
  pool.on('error', () => undefined)
  const client = createJobsClient({ databaseUrl: url, log: silent })
  await client.start()
  const put = <J extends Job>(job: J, payload: PayloadOf<J>, options?: EnqueueOptions) =>
    inTransaction(pool, (tx) => client.enqueue(tx, job, payload, options))
  const worker = createWorker({ databaseUrl: url, client: pool, jobs, handlers, log: silent })
  await worker.start()
  const done = await put(mail, { to: 'done@example.com', subject: 'Hello' })
  await client.result(mail, done.workId, { timeoutMs: PATIENCE_MS })
  const lost = { fails: 1, isFinal: true }
  const letter = await put(mail, { to: 'letter@example.com', ...lost })
  await client.result(mail, letter.workId, { timeoutMs: PATIENCE_MS })
  const keyed = await put(mail, { to: 'keyed@example.com', ...lost }, { uniqueKey: 'k' })
  await client.result(mail, keyed.workId, { timeoutMs: PATIENCE_MS })
  const blocked = await put(purge, { due: 50 })
  await client.result(purge, blocked.workId, { timeoutMs: PATIENCE_MS })
  await worker.stop()
  const delayed = { startAfter: LATER }
  const holder = await put(mail, { to: 'holder@example.com' }, { uniqueKey: 'k', ...delayed })
  const waits = await put(byTenant, { tenant: 'a' }, { priority: 2 })
  for (const to of ['1', '2', '3']) await put(mail, { to }, delayed)
  await put(callPartner, {})
  await client.schedules.upsertMany(
    null,
    remind,
    ['a', 'b'].map((key) => ({ key, cron: '0 9 1 1 *', payload: { customer: key } })),
  )
  return {
    ...{ url, client },
    ids: {
      done: done.workId,
      letter: letter.workId,
      keyed: keyed.workId,
      blocked: blocked.workId,
      holder: holder.workId,
      waits: waits.workId,
    },
    async close() {
      await client.stop()
      await pool.end()
      await drop()
    },
  }
})

/** Adds a case that runs these, one after the other. */
const runs = (name: string, lines: (ids: typeof place.ids) => (string | [string, string[]])[]) =>
  recorded(name, async () => {
    const answers = []
    for (const one of lines(place.ids)) {
      const [line, more] = typeof one === 'string' ? [one, []] : one
      answers.push([[line, ...more].join(' '), await run(line, more)])
    }
    return answers
  })

// Each of the two is over before the next one begins.
describe('what reads', () => {
  describe.concurrent('', () => {
    runs('roundsman: no command, an unknown one, the version, help', () => [
      ...['', 'nothing', '--version', 'runs --help'],
    ])
    runs('list', () => ['list --json', 'list --next x'])
    runs('check', () => ['check --json', 'check --json --no-database', 'check x'])
    runs('runs', () => [
      'runs --json',
      'runs --json --outcome blocked --job purge',
      'runs --json --label done@example.com --status success --limit 1',
    ])
    runs('runs: one', ({ done }) => [`runs show ${done} --json`, `runs show ${UNKNOWN} --json`])
    runs('runs: wrong options', () => ['runs --limit 0', 'runs --outcome odd'])
    runs('dead-letters', () => ['dead-letters --json', 'dead-letters --json --error none'])
    runs('work list and explain', ({ waits }) => [
      'work list --json --limit 2',
      `work explain ${waits} --json`,
      `work explain ${UNKNOWN} --json`,
      `work steps ${waits} --json`,
      'work',
    ])
    runs('limits list and keys list', () => [
      'limits list --json',
      'keys list byTenant --json',
      'keys list mail --json',
    ])
    runs('schedules list, show and preview', () => [
      'schedules list --json',
      'schedules show remind a --json',
      'schedules show remind none --json',
      ['schedules preview --json --limit 2 --cron', ['0 9 1 1 *']],
      ['schedules preview --cron', ['often']],
    ])
    runs('unknown jobs, and wrong values of options', () => [
      ...['dead-letters --job nothing --json', 'dead-letters --after x', 'runs --from yesterday'],
      ...['work list nothing --json', 'keys list nothing --json', 'schedules list --state odd'],
      ...['limits', 'keys', 'schedules', 'queue resume nothing --json', 'check --jsn'],
    ])
    runs('worker, console, dev, build and import: wrong command lines', () => [
      ...['worker x', 'console x', 'dev x', 'build x', 'import', 'import nothing'],
    ])
    runs('uninstall', () => ['uninstall --sql', 'uninstall'])

    recorded('migrate: of an empty database', async () => {
      const { url, drop } = await createTestDatabase({ migrated: false })
      const answers = []
      for (const line of [
        ...['migrate --check --json', 'migrate', 'migrate --check --json', 'migrate'],
        ...['migrate --sql', 'migrate x'],
      ]) {
        const { code, ...said } = await run(line, [], { databaseUrl: url })
        const { json } = said as { json?: Record<string, unknown> }
        answers.push([line, code, json && Object.keys(json).toSorted()])
      }
      await drop()
      return answers
    })

    recorded('a database that is away, or without the tables', async () => {
      const { url, drop } = await createTestDatabase({ migrated: false })
      const away = new URL(url)
      away.port = '1'
      const answers = []
      for (const line of ['runs --json', 'worker']) {
        for (const databaseUrl of [away.href, url]) {
          answers.push([line, (await run(line, [], { databaseUrl })).code])
        }
      }
      await drop()
      return answers
    })

    recorded('a folder without a configuration', async () => {
      const cwd = await mkdtemp(join(tmpdir(), 'roundsman-black-box-'))
      const codes = []
      for (const line of ['runs', 'worker']) {
        codes.push([line, (await run(line, [], { cwd })).code])
      }
      await rm(cwd, { recursive: true })
      return codes
    })

    recorded('init and new: in a made product', async () => {
      const cwd = await mkdtemp(join(tmpdir(), 'roundsman-black-box-'))
      const manifest = { name: 'shop', type: 'module', dependencies: { pg: '^8.11.0' } }
      await writeFile(join(cwd, 'package.json'), JSON.stringify(manifest))
      const answers: unknown[] = []
      for (const line of [
        ...['init', 'init --yes --force', 'init --yes --force'],
        ...['new sendBills', 'new sendBills', 'new Send-Bills'],
      ]) {
        answers.push([line, (await run(line, [], { cwd })).code])
      }
      answers.push((await readdir(cwd, { recursive: true })).toSorted())
      const { dependencies, scripts } = JSON.parse(
        await readFile(join(cwd, 'package.json'), 'utf8'),
      ) as Record<string, object>
      answers.push(Object.keys(dependencies ?? {}), Object.keys(scripts ?? {}))
      await rm(cwd, { recursive: true })
      return answers
    })
  })
})

describe('what acts', () => {
  describe.concurrent('', () => {
    runs('once', ({ letter, keyed }) => [
      ['once sum --json --payload', ['{"a":1,"b":2}']],
      ['once mail --json --payload', ['{"to":"a@example.com","fails":1}']],
      ['once purge --dry-run --json --payload', ['{"due":5}']],
      `once mail --json --dead-letter ${letter}`,
      `once mail --json --dead-letter ${letter}`,
      `once mail --json --dead-letter ${keyed}`,
    ])
    runs('once: wrong command lines', () => ['once nothing', 'once', 'once sum --payload {}'])
    runs('queue pause and resume', () => [
      ['queue pause callPartner --json', REASON],
      ['queue pause callPartner --json', REASON],
      ['queue resume callPartner --json', REASON],
      ['queue resume callPartner --json', REASON],
      ['queue pause nothing --json', REASON],
      'queue pause callPartner',
    ])
    runs('work cancel, postpone and prioritise', ({ waits }) => [
      [`work prioritise byTenant --json --priority 7 --id ${waits}`, REASON],
      [`work postpone byTenant --json --until 2090-01-01 --id ${waits}`, REASON],
      ['work cancel byTenant --json --key a', REASON],
      [`work cancel byTenant --json --id ${waits}`, REASON],
      ['work cancel mail', REASON],
      'work cancel mail --all',
    ])
    runs('dead-letters retry, and work answer', ({ letter, waits }) => [
      [`work answer ${waits} --step pay --absent --json`, REASON],
      [`dead-letters retry ${waits} --json`, REASON],
      [`dead-letters retry ${letter} --json --from pay`, REASON],
      `dead-letters retry ${letter}`,
    ])
    runs('limits set and keys set', () => [
      ['limits set callPartner --json --global 3', REASON],
      ['limits set callPartner --json --global 3', REASON],
      ['limits set callPartner --global 0', REASON],
      ['keys set inOrder a --json --pause', REASON],
      ['keys set inOrder a --json --resume', REASON],
      ['keys set mail a --json --pause', REASON],
    ])
    runs('schedules set, pause, trigger, resume, backfill and delete', () => [
      ['schedules set remind c --json --payload {"customer":"c"} --cron', ['0 9 1 1 *']],
      ['schedules set remind c --json --jitter 5min', REASON],
      ['schedules set remind c --payload {"customer":5}', REASON],
      ['schedules pause remind c --json', REASON],
      ['schedules trigger remind c --json', REASON],
      ['schedules resume remind c --json', REASON],
      ['schedules backfill remind c --json --from 2020-01-01 --to 2021-01-01', REASON],
      ['schedules delete remind c --json', REASON],
      ['schedules delete remind c --json', REASON],
    ])
  })
})
