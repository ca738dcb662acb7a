// Not quick: starts processes.
import { join } from 'node:path'
import { cleanupPreviewSessions, jobs } from '@roundsman/jobs'
import { openForTests, spawnProcess } from '@roundsman/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { commands } from '../src/command/commands.ts'
import { runInProcess } from './command/runInProcess.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { workerEnvironment } from './startWorkerProcess.ts'

const CLI = join(import.meta.dirname, '../src/cli.ts')
const NOWHERE = { DATABASE_URL: 'postgresql://127.0.0.1:1/shop' }

const database = openForTests(openWorkerDatabase)
beforeAll(async () => {
  await database.prisma.jobSchedule.create({
    data: {
      name: cleanupPreviewSessions.name,
      cron: '0 0 1 1 *',
      timeZone: 'UTC',
      cursor: new Date(),
      pausedAt: new Date('2026-01-02T03:04:05Z'),
      pausedBy: 'admin@example.com',
      pauseReason: 'too loud',
    },
  })
})

const list = (args: string[], extra: Record<string, string | undefined> = {}) =>
  runInProcess(commands.list, args, workerEnvironment(database, extra), {})

async function spawnList(args: string[], extra: Record<string, string | undefined> = {}) {
  const child = spawnProcess(CLI, {
    args: ['list', ...args],
    env: workerEnvironment(database, extra),
  })
  const { code } = await child.exited
  return { code, stdout: child.stdout, stderr: child.stderr }
}

describe('worker:list', () => {
  it('lists every job, and who has paused which', async () => {
    const { code, stdout, stderr } = await list([])

    expect({ code, stderr }).toEqual({ code: 0, stderr: [] })
    for (const { name, description } of jobs) {
      expect(stdout).toContainEqual(expect.stringMatching(new RegExp(`^${name} `)))
      expect(stdout).toContain(`  ${description}`)
    }
    expect(stdout[0]).toMatch(/^cleanupPreviewSessions +paused$/)
    expect(stdout).toContain(
      '  paused      since 2026-01-02 03:04 UTC by admin@example.com: too loud',
    )
    expect(stdout).toContain('  cron        0 0 1 1 *  (from CLEANUP_PREVIEW_SESSIONS_CRON)')
    // Nobody reads escape sequences in a file.
    expect(stdout.join('')).not.toContain('\u001b')
    expect(Math.max(...stdout.map(({ length }) => length))).toBeLessThanOrEqual(80)
  })

  it('works without a database, and says what it does not know', async () => {
    const { code, stdout } = await list([], NOWHERE)

    expect(code).toBe(0)
    expect(stdout[0]).toMatch(/^cleanupPreviewSessions +unknown$/)
    expect(stdout.join(' ')).toContain(
      'Whether a schedule or a queue is paused is not known: DATABASE_URL: nothing',
    )
    const json = JSON.parse((await list(['--json'], NOWHERE)).stdout.join(''))
    expect(json.database).toEqual({
      isReached: false,
      problem: expect.stringContaining('nothing listens at 127.0.0.1:1'),
    })
  })

  it('says that jobs are disabled', async () => {
    const { stdout } = await list([], { JOBS_ENABLED: 'false' })

    expect(stdout[0]).toMatch(/^cleanupPreviewSessions +disabled$/)
    expect(stdout).toContain('JOBS_ENABLED=false: no worker schedules or executes any of them.')
  })

  it('colours its words where it is told to, and NO_COLOR forbids it', async () => {
    const coloured = await spawnList([], { FORCE_COLOR: '1', NO_COLOR: undefined })
    expect(coloured.stdout[0]).toContain('\u001b[33mpaused')
    const plain = await spawnList([], { FORCE_COLOR: undefined, NO_COLOR: '1' })
    expect(plain.stdout.join('')).not.toContain('\u001b')
  })
})
