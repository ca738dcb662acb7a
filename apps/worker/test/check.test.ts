// Not quick: starts processes.
import { join } from 'node:path'
import { jobs } from '@roundsman/jobs'
import { createTestDatabase, openForTests, spawnProcess } from '@roundsman/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { commands } from '../src/command/commands.ts'
import { runInProcess } from './command/runInProcess.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { workerEnvironment } from './startWorkerProcess.ts'

const CLI = join(import.meta.dirname, '../src/cli.ts')
const DEFAULTS = { CLEANUP_PREVIEW_SESSIONS_CRON: undefined, CLEANUP_I18N_CACHE_CRON: undefined }

const database = openForTests(openWorkerDatabase)

const environment = (extra: Record<string, string | undefined>) =>
  workerEnvironment(database, { ...DEFAULTS, ...extra })

async function check(args: string[], extra: Record<string, string | undefined> = {}) {
  const result = await runInProcess(commands.check, args, environment(extra), {})
  return { ...result, text: result.stdout.join('\n') }
}

async function spawnCheck(args: string[], extra: Record<string, string | undefined> = {}) {
  const child = spawnProcess(CLI, { args: ['check', ...args], env: environment(extra) })
  const { code } = await child.exited
  return { code, stdout: child.stdout, stderr: child.stderr, text: child.stdout.join('\n') }
}

describe('worker:check', () => {
  it('finds nothing that fails in this product', async () => {
    const { code, stdout, stderr } = await check(['--strict', '--json'])

    expect({ code, stderr, lines: stdout.length }).toEqual({ code: 0, stderr: [], lines: 1 })
    const result = JSON.parse(stdout[0]!)
    expect(result).toMatchObject({ isOk: true, counts: { error: 0, warning: 0 }, unchecked: [] })
    expect(result.jobs).toEqual(jobs.map(({ name }) => name))
    expect(new Set(result.findings.map(({ code: kind }: { code: string }) => kind))).toEqual(
      new Set(['schedules_collide']),
    )
  })

  it('exits with 1 for errors, each with its job, what is wrong, and the remedy', async () => {
    const { code, text, stdout } = await spawnCheck([], {
      CLEANUP_I18N_CACHE_CRON: '61 * * * *',
      CLEANUP_I18N_CRON: '0 3 * * *',
    })

    expect(code).toBe(1)
    expect(stdout.slice(0, 5)).toEqual([
      'error  cleanupI18nCache  cron_variable_invalid',
      '  CLEANUP_I18N_CACHE_CRON: "61 * * * *" is not a cron expression: Invalid value',
      '  for minute: 61',
      '  Remedy: set one such as "*/15 * * * *", or leave it out for "0 3 * * *"',
      '',
    ])
    expect(text).toContain('warning  environment  cron_variable_unknown')
    expect(stdout.at(-1)).toMatch(/^6 jobs checked: 1 error, 1 warning, \d notes?\.$/)
    expect(Math.max(...stdout.map(({ length }) => length))).toBeLessThanOrEqual(80)
    expect(text).not.toContain('\u001b')
  })

  it('exits with 0 for warnings, unless it is strict', async () => {
    // Every five minutes, with a time-out of fifteen.
    const often = { CLEANUP_I18N_CACHE_CRON: '*/5 * * * *' }

    expect(await check([], often)).toMatchObject({
      code: 0,
      text: expect.stringContaining('warning  cleanupI18nCache  timeout_longer_than_schedule'),
    })
    expect(await check(['--strict'], often)).toMatchObject({ code: 1 })
  })

  it('says when a database can not be looked into, and can do without one', async () => {
    const empty = await createTestDatabase({ migrated: false })
    onTestFinished(empty.drop)
    const wrong = { DATABASE_URL: 'postgresql://127.0.0.1:1/shop' }

    const unreachable = await check([], wrong)
    expect(unreachable.code).toBe(1)
    expect(unreachable.text).toContain('error  environment  database_unusable')
    const unmigrated = await check([], { DATABASE_URL: empty.url })
    expect(unmigrated.code).toBe(1)
    expect(unmigrated.text.replaceAll(/\s+/g, ' ')).toContain('apply them with pnpm db:migrate')
    const without = await check(['--no-database'], wrong)
    expect(without.code).toBe(0)
    expect(without.text).toContain(
      'Not checked: indexes for the rows that clean-ups look for, since --no-database',
    )
  })
})
