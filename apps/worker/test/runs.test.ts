import { randomUUID } from 'node:crypto'
import { dispatchEmail } from '@roundsman/jobs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deadLettersCommand, runsCommand } from '../src/command/lookingCommands.ts'
import { runInProcess } from './command/runInProcess.ts'
import { openWorkerDatabase, type WorkerDatabase } from './openWorkerDatabase.ts'
import { workerEnvironment } from './startWorkerProcess.ts'

const NOWHERE = { DATABASE_URL: 'postgresql://127.0.0.1:1/shop' }
const ids = { clean: randomUUID(), mail: randomUUID(), removed: randomUUID(), letter: randomUUID() }
const FAILED_AT = '2026-05-01T11:00:00.250Z'

let database: WorkerDatabase
beforeAll(async () => {
  database = await openWorkerDatabase()
  const common = { workerId: 'w', trigger: 'queue' as const }
  await database.prisma.jobRun.createMany({
    data: [
      {
        ...common,
        id: ids.clean,
        name: 'cleanupPreviewSessions',
        trigger: 'schedule',
        status: 'success',
        startedAt: new Date('2026-05-01T10:00:00Z'),
        endedAt: new Date('2026-05-01T10:00:01.500Z'),
      },
      {
        ...common,
        id: ids.mail,
        name: dispatchEmail.name,
        attempt: 3,
        status: 'failed',
        errorCode: 'smtp_unavailable',
        details: { error: { code: 'smtp_unavailable', message: 'connect\nECONNREFUSED' } },
        startedAt: new Date(FAILED_AT),
        endedAt: new Date('2026-05-01T11:00:01Z'),
      },
      {
        ...common,
        id: ids.removed,
        name: 'formerJob',
        status: 'success',
        startedAt: new Date('2026-04-01T10:00:00Z'),
        endedAt: new Date('2026-04-01T10:01:00Z'),
      },
    ],
  })
  await database.prisma.$executeRaw`
    insert into pgboss.job (id, name, data, state, retry_count, started_on, completed_on, output)
    values (${ids.letter}::uuid, ${dispatchEmail.name}, '{"trigger":"queue","payload":{}}', 'failed', 2,
      ${FAILED_AT}::timestamptz, ${FAILED_AT}::timestamptz, '{"code":"smtp_unavailable","message":"No answer"}')`
})
afterAll(() => database.close())

const run = (
  command: typeof runsCommand,
  args: string[],
  extra: Record<string, string | undefined> = {},
) => runInProcess(command, args, workerEnvironment(database, extra), {})

describe('worker:runs', () => {
  it('lists runs, the newest first, and why one has failed', async () => {
    const { code, stdout, stderr } = await run(runsCommand, [])

    expect({ code, stderr }).toEqual({ code: 0, stderr: [] })
    expect(stdout).toEqual([
      '2026-05-01 11:00:00  failed   750 ms  dispatchEmail',
      `  ${ids.mail}  queue, attempt 3`,
      '  smtp_unavailable: connect ECONNREFUSED',
      '2026-05-01 10:00:00  success     1 s  cleanupPreviewSessions',
      `  ${ids.clean}  schedule`,
      '2026-04-01 10:00:00  success   1 min  formerJob',
      `  ${ids.removed}  queue`,
    ])
  })

  it.each([
    [['--job', 'formerJob'], [ids.removed]],
    [['--status', 'failed'], [ids.mail]],
    [['--trigger', 'schedule'], [ids.clean]],
    [
      ['--from', '2026-05-01'],
      [ids.mail, ids.clean],
    ],
    [['--to', '2026-05-01T10:00:00+00:00'], [ids.removed]],
    [['--work', ids.letter], []],
  ])('narrows them down with %j', async (args, expected) => {
    const { stdout } = await run(runsCommand, [...args, '--json'])

    const { runs } = JSON.parse(stdout.join('')) as { runs: { id: string }[] }
    expect(runs.map(({ id }) => id)).toEqual(expected)
  })

  it('goes on where it says that there is more', async () => {
    const { stdout } = await run(runsCommand, ['--limit', '2'])
    const [, position] = /^More: --after (\S+)$/.exec(stdout.at(-1) ?? '') ?? []

    const rest = await run(runsCommand, ['--json', '--after', position ?? ''])

    expect(JSON.parse(rest.stdout.join(''))).toMatchObject({
      runs: [{ id: ids.removed }],
      next: null,
    })
  })

  it('asks back for a name that neither a job nor a run has', async () => {
    expect(await run(runsCommand, ['--job', 'cleanupPreviewSesions'])).toMatchObject({
      code: 2,
      stderr: [
        '--job: there is no job "cleanupPreviewSesions": did you mean cleanupPreviewSessions?',
        'More: --help',
      ],
    })
    expect(
      (await run(runsCommand, ['--job', 'dispatchEmail', '--status', 'running'])).stdout,
    ).toEqual(['There is no such run.'])
  })

  it.each([
    [['--status', 'lost'], '--status: "lost" is none of running, success, failed'],
    [['--from', 'yesterday'], '--from: "yesterday" is not a date'],
    [['--work', '1'], '--work: "1" is not the id of a piece of work'],
    [['--limit', '0'], '--limit is a whole number from 1 to 1000'],
    [['--after', 'x/y'], '--after: "x/y" is no position'],
  ])('exits with 2 for %j', async (args, problem) => {
    const { code, stderr } = await run(runsCommand, args)
    expect(code).toBe(2)
    expect(stderr[0]).toContain(problem)
    expect(stderr.join('\n')).toContain('Usage: pnpm worker:runs')
  })

  it('exits with 1 where there is no database to read them from', async () => {
    expect(await run(runsCommand, [], NOWHERE)).toMatchObject({
      code: 1,
      stdout: [],
      stderr: [expect.stringContaining('nothing listens at 127.0.0.1:1')],
    })
  })
})

describe('worker:dead-letters', () => {
  it('lists what was given up, and why', async () => {
    expect(await run(deadLettersCommand, [])).toMatchObject({
      code: 0,
      stdout: [
        '2026-05-01 11:00:00  dispatchEmail',
        `  ${ids.letter}  3 attempts`,
        '  smtp_unavailable: No answer',
      ],
    })
    const { stdout } = await run(deadLettersCommand, ['--json', '--job', dispatchEmail.name])
    expect(JSON.parse(stdout.join(''))).toMatchObject({
      deadLetters: [{ queueJobId: ids.letter, error: { code: 'smtp_unavailable' } }],
      next: null,
    })
    expect((await run(deadLettersCommand, ['--job', 'pruneJobRuns'])).stdout).toEqual([
      'There is no dead letter.',
    ])
  })

  it('asks back for a name that is nearly right', async () => {
    expect(await run(deadLettersCommand, ['--job', 'dispatchEmails'])).toMatchObject({
      code: 2,
      stderr: [
        '--job: there is no job "dispatchEmails": did you mean dispatchEmail?',
        'More: --help',
      ],
    })
  })
})
