// Not quick: starts processes.
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { spawnProcess } from '@roundsman/testing'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { captureTool } from '../check/runTool.ts'
import { addToCatalogue, addToHandlers, checkRequest, topLevelNames } from 'roundsman/newJob'
import { cronVariable } from '../../apps/worker/src/cronVariable.ts'
import { copyWorkspace } from './copyWorkspace.ts'
import { WORKSPACE_ROOT } from './stack.ts'

const taken = {
  cronVariable,
  names: ['cleanupPreviewSessions', 'sendURLs'],
  identifiers: ['createHandlers'],
}

test.each([
  ['sendReminders', null],
  ['sendReminders', '0 4 * * *'],
  ['sync2Ledgers', '*/5 * * * * *'],
  ['pruneOldDraftsOfEverybody', '@daily'],
])('takes %s with %j', (name, cron) => {
  expect(checkRequest({ name, cron }, taken)).toBeNull()
})

test.each([
  ['remind', null, 'not a camelCase verb phrase of at least two words; name it by what it does'],
  ['SendReminders', null, 'not a camelCase verb phrase'],
  ['send_reminders', null, 'not a camelCase verb phrase'],
  ['send-reminders', null, 'not a camelCase verb phrase'],
  ['../sendReminders', null, 'not a camelCase verb phrase'],
  ['', null, 'not a camelCase verb phrase'],
  ['class', null, 'a reserved word of JavaScript'],
  ['sendRemindersJob', null, 'ends in Job, which says nothing'],
  ['toString', null, "a name of JavaScript's own"],
  ['setTimeout', null, "a name of JavaScript's own"],
  ['cleanupPreviewSessions', null, 'there is a job "cleanupPreviewSessions" already'],
  ['cleanUpPreviewSessions', null, 'there is a job "cleanupPreviewSessions" already'],
  ['sendUrls', null, 'there is a job "sendURLs" already'],
  ['createHandlers', null, 'means something else where jobs are registered'],
  [`send${'Very'.repeat(20)}`, null, 'has 84 characters; take at most 60'],
  ['sendReminders', 'often', '--schedule: "often" is not a cron expression'],
  ['sendReminders', '0 0 31 2 *', '--schedule: "0 0 31 2 *" is never due; give one such as'],
])('refuses %j with %j: %s', (name, cron, reason) => {
  expect(checkRequest({ name, cron }, taken)).toContain(reason)
})

test('adds a job to a catalogue in its place', () => {
  const text = `import { buildB } from './buildB.ts'
import { zipZ } from './zipZ.ts'

export { buildB, zipZ }

export const jobs = [zipZ, buildB] as const
`
  expect(addToCatalogue('index.ts', text, 'makeM')).toBe(`import { buildB } from './buildB.ts'
import { makeM } from './makeM.ts'
import { zipZ } from './zipZ.ts'

export { buildB, zipZ, makeM }

export const jobs = [zipZ, buildB, makeM] as const
`)
})

test('adds a handler behind the last import and the last property, whatever that is', () => {
  const text = `import { a } from '../a.ts'
import { buildB } from './buildB.ts'

export function createHandlers(env: object) {
  const other = { env }
  return { ...others(other), buildB: buildB(a) }
}

function others(more: object): object {
  return more
}
`
  const name = { imported: 'makeM, makeMBatch', property: 'makeM: makeM({})', name: 'makeM' }
  expect(addToHandlers('index.ts', text, name)).toBe(
    text
      .replace(`./buildB.ts'`, `./buildB.ts'\nimport { makeM, makeMBatch } from './makeM.ts'`)
      .replace('buildB(a) }', 'buildB(a), makeM: makeM({}) }'),
  )
  expect(topLevelNames('index.ts', text)).toEqual(['a', 'buildB', 'createHandlers', 'others'])
})

test.each([
  ['no list', `import { a } from './a.ts'\nexport { a }\n`],
  ['no import of its folder', `export const jobs = [1] as const\nconst a = 1\nexport { a }\n`],
  ['no syntax', `import {`],
])('a catalogue with %s is left alone, and the reason given', (_, text) => {
  expect(() => addToCatalogue('index.ts', text, 'makeM')).toThrow('index.ts')
})

test('what it writes passes format, lint, types and its tests, and a refusal changes nothing', async () => {
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
  expect(await newJob('archiveEverythingThatNobodyHasTouchedForVeryManyMonths')).toMatchObject({
    code: 0,
  })
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
  const check = spawnProcess(join(copy, 'apps/worker/src/check.ts'), {
    args: ['--json'],
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
