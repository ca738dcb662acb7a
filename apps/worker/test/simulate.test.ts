// Not quick: starts processes.
import { join } from 'node:path'
import { openForTests, spawnProcess } from '@roundsman/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { commands } from '../src/command/commands.ts'
import { runInProcess } from './command/runInProcess.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { workerEnvironment } from './startWorkerProcess.ts'

const CLI = join(import.meta.dirname, '../src/cli.ts')
const DAY = ['--from', '2026-05-01', '--to', '2026-05-02']
const DEFAULTS = { CLEANUP_PREVIEW_SESSIONS_CRON: undefined, CLEANUP_I18N_CACHE_CRON: undefined }

const database = openForTests(openWorkerDatabase)
beforeAll(async () => {
  const startedAt = new Date('2026-01-01T00:00:00Z')
  await database.prisma.jobRun.createMany({
    data: Array.from({ length: 25 }, () => ({
      name: 'cleanupPreviewSessions',
      trigger: 'schedule' as const,
      workerId: 'w',
      status: 'success' as const,
      startedAt,
      endedAt: new Date(startedAt.getTime() + 2_000),
    })),
  })
})

const environment = (extra: Record<string, string | undefined> = {}) =>
  workerEnvironment(database, { ...DEFAULTS, ...extra })

async function simulate(args: string[], extra: Record<string, string | undefined> = {}) {
  const result = await runInProcess(commands.simulate, args, environment(extra), {})
  return { ...result, text: result.stdout.join('\n') }
}

async function spawnSimulate(args: string[]) {
  const child = spawnProcess(CLI, { args: ['simulate', ...args], env: environment() })
  const { code } = await child.exited
  return { code, stdout: child.stdout, stderr: child.stderr }
}

describe('worker:simulate', () => {
  it('tells every tick, with what was measured, what meets, and in which zone dates are read', async () => {
    const { code, stdout, stderr, text } = await simulate(DAY)

    expect({ code, stderr }).toEqual({ code: 0, stderr: [] })
    expect(text).toContain('96 ticks, 96 run; 2 s each')
    expect(stdout).toContain('2026-05-01 03:00  cleanupI18nCache        run')
    expect(stdout).toContain(
      '2026-05-01 00:00  cleanupPreviewSessions  run: 96 like this up to 23:45',
    )
    expect(stdout.filter((line) => line.startsWith('2026-05-01'))).toHaveLength(3)
    expect(stdout).toContain(
      '  1 ×  first 2026-05-01 03:00:00  cleanupI18nCache and cleanupPreviewSessions',
    )
    expect(stdout.at(-1)).toBe(
      'Dates without an offset are read in UTC; --time-zone names another.',
    )
    expect(Math.max(...stdout.map(({ length }) => length))).toBeLessThanOrEqual(80)
  })

  it('with an outage and --json, says what becomes of it by which policy', async () => {
    const { code, stdout } = await spawnSimulate([
      ...[
        ...DAY,
        '--outage',
        '2026-05-01T02:10/2026-05-01T04:20',
        '--job',
        'cleanupPreviewSessions',
      ],
      ...['--limit', '10', '--json'],
    ])

    expect({ code, lines: stdout.length }).toEqual({ code: 0, lines: 1 })
    const result = JSON.parse(stdout[0]!)
    expect(result).toMatchObject({
      from: '2026-05-01T00:00:00.000Z',
      outage: { from: '2026-05-01T02:10:00.000Z', to: '2026-05-01T04:20:00.000Z' },
      timeZone: 'UTC',
      left: 86,
      cutAt: null,
      database: { isReached: true, problem: null },
      jobs: [
        {
          name: 'cleanupPreviewSessions',
          durationMs: 2_000,
          measuredRuns: 25,
          outcomes: { enqueued: 88, coalesced: 8, missed: 0, skipped: 0 },
        },
      ],
    })
    expect(result.ticks).toHaveLength(10)
    expect(result.ticks[9]).toMatchObject({
      scheduledFor: '2026-05-01T02:15:00.000Z',
      outcome: 'coalesced',
    })
    expect(result.jobs[0].policies[0]).toEqual({
      missedPolicy: 'once',
      overlapPolicy: 'skip',
      isOwn: true,
      enqueued: 1,
      coalesced: 8,
      missed: 0,
      skipped: 0,
    })
  })

  it('works without a database, and takes runs to last as long as they may', async () => {
    const { code, text } = await simulate([...DAY, '--limit', '0'], {
      DATABASE_URL: 'postgresql://127.0.0.1:1/shop',
    })

    expect(code).toBe(0)
    expect(text).toContain('98 ticks left out: --limit shows more')
    expect(text.replaceAll(/\s+/g, ' ')).toContain('15 min each (its time-out)')
    expect(text).toContain('How long runs take was not looked up: DATABASE_URL: nothing')
  })

  it('reads dates in another zone when it is told to', async () => {
    const zone = ['--time-zone', 'Europe/Berlin', '--json', '--limit', '0']

    expect(JSON.parse((await simulate([...DAY, ...zone])).text)).toMatchObject({
      from: '2026-04-30T22:00:00.000Z',
      to: '2026-05-01T22:00:00.000Z',
      timeZone: 'Europe/Berlin',
    })
  })

  it('explains itself', async () => {
    const help = await simulate(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: [] })
    expect(help.stdout[0]).toMatch(/^Usage: pnpm worker:simulate /)
  })

  it.each([
    [[], '--from and --to: say when the range begins and when it ends'],
    [['--from', '2026-05-01'], '--to: say when'],
    [['--from', 'x', '--to', '2026-05-01'], '--from: "x" is not a date; give one such as'],
    [
      ['--from', '2026-02-30', '--to', '2026-05-01'],
      '--from: "2026-02-30" is no date of the calendar',
    ],
    [['--from', '3000-01-01', '--to', '3000-02-01'], '--to: ticks are listed up to 2999-12-31'],
    [['--from', '2026-05-02', '--to', '2026-05-01'], 'has to be before --to'],
    [['--from', '2026-05-01', '--to', '2026-05-01'], 'has to be before --to'],
    [[...DAY, '--outage', '2026-05-01'], '--outage is FROM/TO'],
    [[...DAY, '--outage', '2026-05-01T05:00/2026-05-01T04:00'], '--outage begins'],
    [[...DAY, '--outage', '2026-05-01T05:00/2026-05-03'], 'has to lie within the range'],
    [[...DAY, '--outage', '2026-05-01T05:00/y'], '--outage: "y" is not a date'],
    [[...DAY, '--job', 'sweep'], '--job: there is no job "sweep". These have a schedule: cleanup'],
    [[...DAY, '--job', 'dispatchEmail'], '--job: dispatchEmail has no schedule. These have one: '],
    [
      [...DAY, '--time-zone', 'Mars/Olympus'],
      '--time-zone: "Mars/Olympus" is not an IANA time zone',
    ],
    [[...DAY, '--limit', '-1'], '--limit'],
  ])('exits with 2 for %j', async (args, problem) => {
    const { code, stdout, stderr } = await simulate(args)

    expect({ code, stdout }).toEqual({ code: 2, stdout: [] })
    expect(stderr[0]).toContain(problem)
    expect(stderr.join('\n')).toContain('Usage: pnpm worker:simulate')
    expect(stderr.join('\n')).not.toMatch(/^ +at /m)
  })
})
