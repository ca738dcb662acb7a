// Processes: writes jobs into a copy of this workspace, which is compiled and tested.
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { spawnProcess } from '@roundsman/testing'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { captureTool } from '../check/runTool.ts'
import { copyWorkspace } from './copyWorkspace.ts'
import { WORKSPACE_ROOT } from './stack.ts'

test('what pnpm new:job writes passes format, lint, types and its tests, and a refusal changes nothing', async () => {
  const copy = await copyWorkspace(WORKSPACE_ROOT)
  await promisify(execFile)('git', ['init', '--quiet'], { cwd: copy })
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', args, { cwd: copy, maxBuffer: 1e8 })).stdout
  await git('-c', 'core.looseCompression=0', 'add', '--all')
  const newJob = async (...args: string[]) => {
    const child = spawnProcess(join(copy, 'scripts/newJob.ts'), { args, cwd: copy })
    const { code } = await child.exited
    return { code, stdout: child.stdout.join('\n'), stderr: child.stderr.join('\n') }
  }

  const scheduled = await newJob('sendReminders', '--schedule', '0 4 * * 1')
  expect(scheduled).toMatchObject({ code: 0, stderr: '' })
  expect(scheduled.stdout).toContain('SEND_REMINDERS_CRON overrides its schedule')
  const long = 'archiveEverythingThatNobodyHasTouchedForVeryManyMonths'
  expect(await newJob(long, '--cleanup')).toMatchObject({ code: 0 })
  const written = (await git('ls-files', '--modified', '--others', '--exclude-standard'))
    .trim()
    .split('\n')
    .toSorted()
  expect(written).toHaveLength(8)
  for (const path of written)
    expect(scheduled.stdout.includes(path) || /archive/.test(path)).toBe(true)

  const before = await git('status', '--porcelain', '--untracked-files=all')
  const diff = await git('diff')
  for (const args of [['sendReminders'], ['sendMore', '--schedule', 'x'], []]) {
    const { code, stdout, stderr } = await newJob(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: pnpm new:job <name>')
  }
  expect(await git('status', '--porcelain', '--untracked-files=all')).toBe(before)
  expect(await git('diff')).toBe(diff)

  const tests = written.filter((path) => path.endsWith('.test.ts'))
  // A new job changes the types of both programs, and of tests that know the catalogue or the handlers.
  const concerned = await git(
    ...['grep', '-lE', `@roundsman/jobs'|/jobs/index\\.ts'`, '--'],
    ...['apps/*/test/*.ts', 'apps/*/e2e/*.ts', 'packages/*/test/*.ts'],
  )
  const typed = {
    extends: './tsconfig.tests.json',
    include: ['packages/testing/src'],
    files: [
      ...['apps/worker/src/main.ts', 'apps/api/src/server.ts'],
      ...written.filter((path) => path.endsWith('.ts')),
      ...concerned.trim().split('\n'),
    ],
  }
  expect(typed.files.length).toBeGreaterThan(20)
  await writeFile(join(copy, 'tsconfig.concerned.json'), JSON.stringify(typed))
  const checks = await Promise.all([
    captureTool(copy, 'oxfmt', ['--check', ...written]),
    captureTool(copy, 'oxlint', ['--type-aware', '--deny-warnings', ...written]),
    captureTool(copy, 'tsc', ['-p', 'tsconfig.concerned.json', '--noEmit', '--pretty', 'false']),
  ])
  for (const { exitCode, output } of checks)
    expect({ exitCode, output }).toMatchObject({ exitCode: 0 })
  // With it they need no server of their own.
  vi.stubEnv('DATABASE_URL', inject('testServer').adminUrl)
  onTestFinished(() => void vi.unstubAllEnvs())
  const { exitCode, output } = await captureTool(copy, 'vitest', [
    'run',
    ...tests,
    'packages/jobs/test/catalogue.test.ts',
    'apps/worker/test/env.test.ts',
    'apps/worker/test/nextRuns.test.ts',
  ])
  expect({ exitCode, output }).toMatchObject({ exitCode: 0 })

  // The same for the check: it reports a wrong definition, with its job.
  const contract = join(copy, 'packages/jobs/src/sendReminders.ts')
  await writeFile(contract, (await readFile(contract, 'utf8')).replace('0 4 * * 1', '0 99 * * 1'))
  const check = spawnProcess(join(copy, 'apps/worker/src/cli.ts'), {
    args: ['check', '--json'],
    cwd: copy,
  })
  expect((await check.exited).code).toBe(1)
  expect(JSON.parse(check.stdout.join('\n'))).toMatchObject({
    isOk: false,
    findings: [
      {
        severity: 'error',
        code: 'definition_invalid',
        job: 'sendReminders',
        problem: expect.stringContaining('0 99 * * 1'),
      },
    ],
  })
}, 180_000)
