// Not quick: starts processes.
import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { Prisma } from '@roundsman/db'
import { cleanupPreviewSessions } from '@roundsman/jobs'
import {
  createTestDatabase,
  HOLD_RUNS_SQL,
  openForTests,
  readWorkState,
  spawnProcess,
  waitFor,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { commands } from '../src/command/commands.ts'
import { runInProcess } from './command/runInProcess.ts'
import { holdRow } from './holdRow.ts'
import { insertSessions } from './insertSessions.ts'
import manifest from '../package.json' with { type: 'json' }
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { startWorkerHere, workerEnvironment } from './startWorkerProcess.ts'

const CLI = join(import.meta.dirname, '../src/cli.ts')
const JOB = cleanupPreviewSessions.name
const NOWHERE = '01a20e26-367c-766a-a085-72e882269712'

const database = openForTests(openWorkerDatabase)
beforeEach(() => database.prisma.$executeRaw`truncate "PreviewSession", "JobRun", "JobClaim"`)

const spawnOnce = (args: string[], extra: Record<string, string | undefined> = {}) =>
  spawnProcess(CLI, { args: ['once', ...args], env: workerEnvironment(database, extra) })

const runOnce = (args: string[], extra: Record<string, string | undefined> = {}) =>
  runInProcess(commands.once, args, workerEnvironment(database, extra), {
    listenForStop: () => new AbortController().signal,
  })

/** Runs the command in a process of its own, for its real exit code. */
async function runInItsProcess(args: string[], extra: Record<string, string | undefined> = {}) {
  const process = spawnOnce(args, extra)
  const { code } = await process.exited
  return { code, stdout: process.stdout, stderr: process.stderr }
}

const runs = () =>
  database.prisma.jobRun.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })

/** Has the database refuse changes of sessions until the test ends. */
async function refuseChanges(): Promise<void> {
  const { prisma } = database
  await prisma.$executeRawUnsafe(`
    create or replace function refuse() returns trigger language plpgsql as $$
    begin raise exception 'closed for the night'; end $$`)
  await prisma.$executeRawUnsafe(
    'create trigger refuse before update on "PreviewSession" for each row execute function refuse()',
  )
  onTestFinished(async () => {
    await prisma.$executeRawUnsafe('drop trigger refuse on "PreviewSession"')
  })
}

describe('a run that succeeds', () => {
  it('exits with 0, tells what was done, and is recorded with who asked for it', async () => {
    await insertSessions(database.prisma, { expired: 2, revoked: 1, active: 1 })

    const { code, stdout } = await runInItsProcess([JOB])

    const [run] = await runs()
    expect(code).toBe(0)
    const { version } = manifest
    expect(
      await database.prisma.$queryRaw`
        select "version" from "JobFormerWorker" where "id" = ${run?.workerId}
        union select "version" from "JobWorker" where "id" = ${run?.workerId}`,
    ).toEqual([{ version }])
    expect(stdout).toEqual([
      expect.stringMatching(/^cleanupPreviewSessions: success in \d+ ms$/),
      `  run      ${run?.id}`,
      expect.stringMatching(/^ {2}details {2}\{.*"cleaned":3.*\}$/),
    ])
    expect(run).toMatchObject({
      status: 'success',
      trigger: 'cli',
      attempt: 1,
      actor: userInfo().username,
      dryRun: false,
      workId: null,
      details: { cleaned: 3, expired: 2, revoked: 1, batches: 1 },
    })
  })

  it('with --json, prints the run in exactly one line and its log elsewhere', async () => {
    await insertSessions(database.prisma, { expired: 1 })

    const { code, stdout, stderr } = await runInItsProcess([JOB, '--json'])

    expect(code).toBe(0)
    expect(stdout).toHaveLength(1)
    const [recorded] = await runs()
    expect(JSON.parse(stdout.join(''))).toEqual({
      id: recorded?.id,
      name: JOB,
      status: 'success',
      trigger: 'cli',
      dryRun: false,
      startedAt: recorded?.startedAt.toISOString(),
      endedAt: recorded?.endedAt?.toISOString(),
      durationMs: Number(recorded?.endedAt) - Number(recorded?.startedAt),
      details: { cleaned: 1, expired: 1, revoked: 0, batches: 1 },
    })
    expect(stderr.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'job run started',
      'job run finished',
    ])
  })

  it('with --dry-run, changes nothing and says so', async () => {
    await insertSessions(database.prisma, { expired: 2 })

    const { code, stdout } = await runOnce([JOB, '--dry-run'])

    expect(code).toBe(0)
    expect(stdout[0]).toMatch(/^cleanupPreviewSessions: success \(dry run, rolled back\) in/)
    expect(await database.prisma.previewSession.count({ where: { status: 'active' } })).toBe(2)
    expect(await runs()).toMatchObject([{ dryRun: true, details: { cleaned: 2, batches: 1 } }])
  })

  it('takes a payload that fits', async () => {
    expect(await runOnce([JOB, '--payload', '{}'])).toMatchObject({ code: 0 })
  })

  it('is possible while jobs are disabled: it is what somebody wants', async () => {
    await insertSessions(database.prisma, { expired: 1 })

    expect(await runOnce([JOB], { JOBS_ENABLED: 'false' })).toMatchObject({ code: 0 })
    expect(await runs()).toMatchObject([{ status: 'success', details: { cleaned: 1 } }])
  })

  it('is possible beside a worker, which does not take it for lost', async () => {
    await insertSessions(database.prisma, { expired: 3 })
    const worker = await startWorkerHere(database)
    await worker.waitForMessage('Jobs scheduler enabled')
    const held = await holdRow(database.prisma, 'PreviewSession', `old."label" = '2'`)
    const once = spawnOnce([JOB])
    await held.reached()
    // A run whose worker is surely gone: once the rescue has ended it, it has looked at all running ones.
    const lost = await database.prisma.jobRun.create({
      data: { name: JOB, trigger: 'cli', workerId: `gone:1:${randomUUID()}` },
    })
    await database.prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
    await waitFor(
      async () =>
        (await database.prisma.jobRun.findUnique({ where: { id: lost.id } }))?.status === 'failed',
    )

    await held.release()

    expect(await once.exited).toEqual({ code: 0, signal: null })
    const [own] = (await runs()).filter(({ id }) => id !== lost.id)
    expect(own).toMatchObject({ status: 'success', details: { cleaned: 3 } })
    expect(worker.messages('job run started')).toEqual([])
  })
})

describe('a run that does not', () => {
  it('exits with 1 when it fails, and tells why', async () => {
    await insertSessions(database.prisma, { expired: 1 })
    await refuseChanges()

    const { code, stdout } = await runOnce([JOB])

    expect(code).toBe(1)
    expect(stdout[0]).toMatch(/^cleanupPreviewSessions: failed in \d+ ms$/)
    expect(stdout[2]).toContain('closed for the night')
    expect(await runs()).toMatchObject([{ status: 'failed' }])
  })

  it('exits with 3 when another one is under way, and tells which', async () => {
    await insertSessions(database.prisma, { expired: 3 })
    const held = await holdRow(database.prisma, 'PreviewSession', `old."label" = '2'`)
    const first = spawnOnce([JOB])
    await held.reached()
    const [running] = await runs()

    const plain = await runInItsProcess([JOB])
    const json = await runOnce([JOB, '--json'])

    expect(plain).toMatchObject({ code: 3 })
    expect(plain.stdout).toEqual([
      'cleanupPreviewSessions: not started, it is running already',
      `  run      ${running?.id}`,
      `  worker   ${running?.workerId}`,
    ])
    expect(json.code).toBe(3)
    expect(json.stdout.map((line) => JSON.parse(line) as unknown)).toEqual([
      { kind: 'alreadyRunning', runId: running?.id, workerId: running?.workerId },
    ])
    await held.release()
    expect(await first.exited).toEqual({ code: 0, signal: null })
    expect(await runs()).toHaveLength(1)
  })

  it('exits with 1 after SIGINT: the run ends as cancelled, with what it has done', async () => {
    await insertSessions(database.prisma, { expired: 2_500 })
    const held = await holdRow(database.prisma, 'PreviewSession', `old."label" = '1500'`)
    const once = spawnOnce([JOB, '--json'])
    await held.reached()

    expect(await once.kill('SIGINT')).toEqual({ code: 1, signal: null })
    await held.release()

    expect(once.stdout).toHaveLength(1)
    // On a busy machine a batch is cut, and there is another before the one with the held row.
    const active = await database.prisma.previewSession.count({ where: { status: 'active' } })
    expect(active).toBeGreaterThanOrEqual(1_000)
    expect(active).toBeLessThan(2_500)
    expect(await runs()).toMatchObject([
      {
        status: 'failed',
        details: {
          cleaned: 2_500 - active,
          error: { code: 'cancelled', message: 'Stopped by SIGINT' },
        },
      },
    ])
  })
})

it('explains itself when it is asked to', async () => {
  const { code, stdout, stderr } = await runOnce(['--help'])

  expect({ code, stderr }).toEqual({ code: 0, stderr: [] })
  expect(stdout[0]).toMatch(/^Usage: pnpm worker:once <job> /)
  expect(await runs()).toEqual([])
})

describe('a wrong command line exits with 2, explains the right one, and runs nothing', () => {
  const known = [
    expect.stringMatching(/^ {2}cleanupPreviewSessions +Marks /),
    expect.stringMatching(/^ {2}cleanupI18nCache +Removes /),
  ]

  it.each<[string, string[], unknown[]]>([
    ['no job', [], ['Which job? These are known:', ...known]],
    ['an unknown job', ['cleanUp'], ['There is no job "cleanUp". These are known:', ...known]],
    [
      'two jobs',
      [JOB, 'cleanupI18nCache'],
      [expect.stringMatching(/^One job at a time; "cleanupI18nCache"/)],
    ],
    ['an unknown option', [JOB, '--force'], [expect.stringContaining('--force')]],
    ['an option without its value', [JOB, '--payload'], [expect.stringContaining('--payload')]],
    [
      'a payload that is not JSON',
      [JOB, '--payload', '{a:1}'],
      [expect.stringMatching(/^--payload is not JSON: /)],
    ],
    ['an empty payload', [JOB, '--payload='], [expect.stringMatching(/^--payload is not JSON: /)]],
    [
      'a payload that does not fit',
      [JOB, '--payload', '{"a":1}'],
      [expect.stringMatching(/^--payload does not fit cleanupPreviewSessions: /)],
    ],
    [
      'a job that needs a payload, without one',
      ['renderInvoicePdf'],
      [expect.stringMatching(/^renderInvoicePdf needs a --payload: invoiceId: /)],
    ],
    [
      'a payload that is no object',
      [JOB, '--payload', 'null'],
      [expect.stringMatching(/^--payload does not fit /)],
    ],
    [
      'a dead letter and a payload',
      [JOB, '--dead-letter', NOWHERE, '--payload', '{}'],
      ['--dead-letter brings its own payload: leave --payload out'],
    ],
    [
      'a dead letter, dry',
      [JOB, '--dead-letter', NOWHERE, '--dry-run'],
      ['--dead-letter makes a real attempt: leave --dry-run out'],
    ],
    [
      'a dead letter that is no id',
      [JOB, '--dead-letter', 'x'],
      ['"x" is not the id of a dead letter'],
    ],
  ])('%s', async (_, args, explanation) => {
    const { code, stdout, stderr } = await runOnce(['--json', ...args])

    expect(code).toBe(2)
    expect(stdout).toEqual([])
    expect(stderr.slice(0, explanation.length)).toEqual(explanation)
    expect(stderr).toContain(
      'Usage: pnpm worker:once <job> [--dry-run] [--payload JSON | --dead-letter ID] [--json]',
    )
    expect(stderr.join('\n')).not.toMatch(/^ +at /m)
    expect(await runs()).toEqual([])
  })
})

it('asks back for a name that is nearly right, and lets nothing bury that', async () => {
  const { code, stderr } = await runOnce(['cleanupPreviewSesions'])

  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: [
      'There is no job "cleanupPreviewSesions": did you mean cleanupPreviewSessions?',
      'More: --help',
    ],
  })
})

describe('a dead letter', () => {
  it('gets its next attempt, with its own payload', async () => {
    const [{ id } = { id: '' }] = await database.prisma.$queryRaw<{ id: string }[]>`
      insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "payload", "errorCode", "errorMessage")
      values (gen_random_uuid(), ${JOB}, 3, 2, '{}', 'handler_failed', '') returning "id"::text`

    const { code } = await runOnce([JOB, '--dead-letter', id])

    expect(code).toBe(0)
    expect(await runs()).toMatchObject([{ workId: id, attempt: 4, status: 'success' }])
    expect(await readWorkState(database.prisma, id)).toBeUndefined()
  })

  it('that is none exits with 2', async () => {
    const { code, stderr } = await runInItsProcess([JOB, '--dead-letter', NOWHERE])

    expect(code).toBe(2)
    expect(stderr).toContain(
      `${JOB} has no dead letter ${NOWHERE}; pnpm worker:dead-letters lists those there are`,
    )
    expect(await runs()).toEqual([])
  })
})

describe('says what keeps it from starting, without a stack, and exits with 1', () => {
  async function failure(extra: Record<string, string | undefined>): Promise<string[]> {
    const { code, stdout, stderr } = await runOnce([JOB, '--json'], extra)
    expect({ code, stdout }).toEqual({ code: 1, stdout: [] })
    expect(stderr[0]).toBe('The environment needs attention:')
    return stderr.slice(1)
  }

  it('wrong variables, all of them', async () => {
    expect(await failure({ LOG_LEVEL: 'loud', I18N_CACHE_MAX_AGE_DAYS: 'x' })).toEqual([
      expect.stringContaining('LOG_LEVEL: '),
      expect.stringContaining('I18N_CACHE_MAX_AGE_DAYS: '),
    ])
  })

  it('an unreachable database', async () => {
    expect(await failure({ DATABASE_URL: 'postgresql://127.0.0.1:1/shop' })).toEqual([
      expect.stringContaining('DATABASE_URL: nothing listens at 127.0.0.1:1'),
    ])
  })

  it('a DATA_DIR that cannot be one', async () => {
    const file = import.meta.filename
    expect(await failure({ DATABASE_URL: undefined, DATA_DIR: file })).toEqual([
      expect.stringMatching(/^ {2}- DATA_DIR: .* cannot be made .* Set DATA_DIR to /),
    ])
  })

  it('a database that is not migrated, or not wholly', async () => {
    const empty = await createTestDatabase({ migrated: false })
    const withoutQueue = await createTestDatabase({ withQueue: false })
    onTestFinished(() => Promise.all([empty.drop(), withoutQueue.drop()]).then(() => undefined))

    for (const { url } of [empty, withoutQueue]) {
      expect(await failure({ DATABASE_URL: url })).toEqual([
        expect.stringMatching(
          /^ {2}- DATABASE_URL: (the database lacks .*|Roundsman's tables .* are missing); apply them with pnpm db:migrate$/,
        ),
      ])
    }
  })
})
