import { join } from 'node:path'
import { EnvironmentError } from '@roundsman/process'
import { jobs } from '@roundsman/jobs'
import { isScheduled, type Job } from '@roundsman/runtime/contract'
import { describe, expect, it } from 'vitest'
import { cronVariable } from '../src/cronVariable.ts'
import { readWorkerEnvironment } from '../src/env.ts'

const WORKSPACE = join(import.meta.dirname, '../../..')

function problemsOf(source: NodeJS.ProcessEnv): readonly string[] {
  try {
    readWorkerEnvironment(source)
  } catch (error) {
    if (error instanceof EnvironmentError) return error.problems
    throw error
  }
  return []
}

const cronOf = (source: NodeJS.ProcessEnv, name: string) =>
  readWorkerEnvironment(source).jobs.find((job) => job.name === name)?.schedule?.cron

describe('without any variable', () => {
  it('works on the embedded database, enabled, on a port of this machine', () => {
    expect(readWorkerEnvironment({})).toEqual({
      NODE_ENV: 'development',
      DATABASE_URL: undefined,
      DATA_DIR: join(WORKSPACE, '.data'),
      LOG_LEVEL: 'info',
      ROUNDSMAN_SUPERVISED: false,
      HOST: '127.0.0.1',
      WORKER_PORT: 3001,
      JOBS_ENABLED: true,
      WORKER_CONCURRENCY: 10,
      DRAIN_TIMEOUT_MS: 25_000,
      I18N_CACHE_MAX_AGE_DAYS: 30,
      CLEANUP_PREVIEW_SESSIONS_CRON: '*/15 * * * *',
      CLEANUP_I18N_CACHE_CRON: '0 3 * * *',
      JOB_RUN_RETENTION_DAYS: 30,
      JOB_RUN_FAILED_RETENTION_DAYS: 90,
      PRUNE_JOB_RUNS_CRON: '30 3 * * *',
      jobs,
    })
  })

  it('takes a variable that is set and empty for one that is not set', () => {
    const names = ['DATABASE_URL', 'WORKER_PORT', 'JOBS_ENABLED', 'CLEANUP_I18N_CACHE_CRON', 'HOST']

    expect(readWorkerEnvironment(Object.fromEntries(names.map((name) => [name, ''])))).toEqual(
      readWorkerEnvironment({}),
    )
  })
})

describe('in production', () => {
  const production = { NODE_ENV: 'production', DATABASE_URL: 'postgresql://localhost/shop' }

  it('listens to other machines, unless told otherwise', () => {
    expect(readWorkerEnvironment(production).HOST).toBe('0.0.0.0')
    expect(readWorkerEnvironment({ ...production, HOST: '::1' }).HOST).toBe('::1')
  })

  it('needs a database of its own, and says how to name one', () => {
    expect(problemsOf({ NODE_ENV: 'production' })).toEqual([
      expect.stringMatching(
        /^DATABASE_URL: is not set.*set postgresql:\/\/user:password@host:5432/,
      ),
    ])
  })
})

it('tells all problems together, each with its variable, what is wrong and the remedy', () => {
  const problems = problemsOf({
    NODE_ENV: 'prod',
    DATABASE_URL: 'mysql://root:hunter2@localhost/shop',
    LOG_LEVEL: 'loud',
    ROUNDSMAN_SUPERVISED: 'maybe',
    WORKER_PORT: '65536',
    JOBS_ENABLED: 'yes',
    WORKER_CONCURRENCY: '0',
    DRAIN_TIMEOUT_MS: '25s',
    I18N_CACHE_MAX_AGE_DAYS: '-1',
    JOB_RUN_RETENTION_DAYS: '0',
    CLEANUP_PREVIEW_SESSIONS_CRON: 'often',
    CLEANUP_I18N_CACHE_CRON: '0 0 31 2 *',
  })

  expect(problems.toSorted()).toEqual([
    expect.stringMatching(
      /^CLEANUP_I18N_CACHE_CRON: "0 0 31 2 \*" is never due; set one such as "\*\/15 /,
    ),
    expect.stringMatching(
      /^CLEANUP_PREVIEW_SESSIONS_CRON: "often" is not .*leave it out for "\*\/15 \* \* \* \*"$/,
    ),
    expect.stringMatching(/^DATABASE_URL: is not a PostgreSQL URL; set postgresql:/),
    expect.stringMatching(/^DRAIN_TIMEOUT_MS: "25s" .*set a whole number from 0 to 3600000/),
    expect.stringMatching(/^I18N_CACHE_MAX_AGE_DAYS: "-1" .*set a whole number from 1 to 3650/),
    expect.stringMatching(/^JOBS_ENABLED: "yes" .*set true or false/),
    expect.stringMatching(/^JOB_RUN_RETENTION_DAYS: "0" .*set a whole number from 1 to 3650/),
    expect.stringMatching(/^LOG_LEVEL: set fatal, error, warn, info/),
    expect.stringMatching(/^NODE_ENV: set development, test or production/),
    expect.stringMatching(/^ROUNDSMAN_SUPERVISED: "maybe" .*set true or false/),
    expect.stringMatching(/^WORKER_CONCURRENCY: "0" .*set a whole number from 1 to 1000/),
    expect.stringMatching(/^WORKER_PORT: "65536" .*set a whole number from 0 to 65535/),
  ])
  expect(problems.join('\n')).not.toContain('hunter2')
})

describe('JOBS_ENABLED', () => {
  it.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])('%s means %s', (text, isEnabled) => {
    expect(readWorkerEnvironment({ JOBS_ENABLED: text }).JOBS_ENABLED).toBe(isEnabled)
  })

  it.each(['yes', 'no', 'on', 'off', 'TRUE', 'False', ' true', '01', 'null'])(
    'refuses %j: jobs that run by a misreading, or do not, are noticed late',
    (text) => {
      expect(problemsOf({ JOBS_ENABLED: text })).toEqual([
        `JOBS_ENABLED: ${JSON.stringify(text)} is neither true nor false; set true or false (1 and 0 do as well)`,
      ])
    },
  )
})

describe('cron variables', () => {
  it.each((jobs as readonly Job[]).filter(isScheduled))('$name has one', ({ name }) => {
    expect(cronOf({ [cronVariable(name)]: '7 7 7 7 *' }, name)).toBe('7 7 7 7 *')
  })

  it.each(['0 4 * * 1-5', '*/10 * * * * *', '@hourly'])('accept %j', (cron) => {
    expect(cronOf({ CLEANUP_I18N_CACHE_CRON: cron }, 'cleanupI18nCache')).toBe(cron)
  })

  it('change one schedule and nothing else', () => {
    const [sessions, cache, prune] = jobs
    const changed = readWorkerEnvironment({ CLEANUP_I18N_CACHE_CRON: '0 4 * * *' }).jobs

    expect(changed).toEqual([
      sessions,
      { ...cache, schedule: { ...cache.schedule, cron: '0 4 * * *' } },
      prune,
    ])
    expect(cache.schedule?.cron).toBe('0 3 * * *')
  })

  it.each([
    ['hourly', 'it has 1 fields instead of 5'],
    ['* * * *', 'it has 4 fields instead of 5'],
    ['* * * * * * *', 'it has 7 fields instead of 5, or 6 with seconds'],
    ['61 * * * *', 'not a cron expression'],
    ['* * * * mo', 'not a cron expression'],
    ['@reboot', 'not a cron expression'],
    ['0 0 31 2 *', 'is never due'],
    ['0 0 0 30 2 *', 'is never due'],
  ])('refuse %j: %s', (cron, problem) => {
    expect(problemsOf({ CLEANUP_I18N_CACHE_CRON: cron })).toEqual([
      expect.stringMatching(/^CLEANUP_I18N_CACHE_CRON: .*; set one such as/),
    ])
    expect(problemsOf({ CLEANUP_I18N_CACHE_CRON: cron })[0]).toContain(problem)
  })
})

describe('numbers', () => {
  it.each(['-1', '1.5', '1e3', '0x10', ' 5', '5 ', 'many', '1_000'])('refuse %j', (text) => {
    expect(problemsOf({ WORKER_CONCURRENCY: text })).toEqual([
      expect.stringMatching(/^WORKER_CONCURRENCY: /),
    ])
  })

  it('take the bounds themselves', () => {
    const env = readWorkerEnvironment({ WORKER_PORT: '0', DRAIN_TIMEOUT_MS: '3600000' })

    expect(env).toMatchObject({ WORKER_PORT: 0, DRAIN_TIMEOUT_MS: 3_600_000 })
  })
})
