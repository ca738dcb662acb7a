// Not quick: starts processes.
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { cleanupPreviewSessions } from '@roundsman/jobs'
import { openForTests, spawnProcess } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { commands } from '../src/command/commands.ts'
import { runInProcess } from './command/runInProcess.ts'
import { holdRow } from './holdRow.ts'
import { insertSessions } from './insertSessions.ts'
import manifest from '../package.json' with { type: 'json' }
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { workerEnvironment } from './startWorkerProcess.ts'

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

  it('is possible while jobs are disabled: it is what somebody wants', async () => {
    await insertSessions(database.prisma, { expired: 1 })

    expect(await runOnce([JOB], { JOBS_ENABLED: 'false' })).toMatchObject({ code: 0 })
    expect(await runs()).toMatchObject([{ status: 'success', details: { cleaned: 1 } }])
  })
})

describe('a run that does not', () => {
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
      'a dry run of a job that does not declare it',
      ['sendWeeklyReport', '--dry-run'],
      [
        expect.stringMatching(
          /^sendWeeklyReport supports no dry run: its definition has no dryRun/,
        ),
      ],
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

  it('a DATA_DIR that cannot be one', async () => {
    const file = import.meta.filename
    expect(await failure({ DATABASE_URL: undefined, DATA_DIR: file })).toEqual([
      expect.stringMatching(/^ {2}- DATA_DIR: .* cannot be made .* Set DATA_DIR to /),
    ])
  })
})
