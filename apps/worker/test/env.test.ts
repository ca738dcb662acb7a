import { join } from 'node:path'
import { EnvironmentError } from '@roundsman/node-app'
import { jobs } from '@roundsman/jobs'
import { isScheduled, type Job } from '@roundsman/engine'
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
      seller: {
        name: 'Example Company',
        address: ['1 Example Street', 'EX1 1EX Example Town'],
        email: 'billing@example.com',
      },
      LOG_LEVEL: 'info',
      ROUNDSMAN_SUPERVISED: false,
      ROUNDSMAN_HELD: false,
      ROUNDSMAN_DEMO: false,
      ALERT_EMAIL_TO: [],
      ALERT_FAILURE_PERCENT: 10,
      ALERT_WEBHOOK_FORMAT: 'json',
      ALERT_QUEUE_WAITING: 1,
      ALERT_QUEUE_MINUTES: 10,
      HOST: '127.0.0.1',
      WORKER_PORT: 3001,
      JOBS_ENABLED: true,
      WORKER_CONCURRENCY: 10,
      DRAIN_TIMEOUT_MS: 25_000,
      I18N_CACHE_MAX_AGE_DAYS: 30,
      JOB_RUN_RETENTION_DAYS: 30,
      JOB_RUN_FAILED_RETENTION_DAYS: 90,
      JOB_ACTION_RETENTION_DAYS: 365,
      retention: { runDays: 30, failedDays: 90, actionDays: 365 },
      ...Object.fromEntries(
        (jobs as readonly Job[])
          .filter(isScheduled)
          .map(({ name, schedule }) => [cronVariable(name), schedule.cron]),
      ),
      MAIL_FROM: { name: '', address: 'no-reply@roundsman.localhost' },
      SMTP_MAX_PER_SECOND: 10,
      jobs,
      OTEL_TRACES_SAMPLER_ARG: 1,
      pingUrls: new Map(),
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
    expect.stringMatching(/^LOG_LEVEL: is not a log level; set fatal, error, warn, info/),
    expect.stringMatching(/^NODE_ENV: is not a known mode; set development, test or production/),
    expect.stringMatching(/^ROUNDSMAN_SUPERVISED: "maybe" .*set true or false/),
    expect.stringMatching(/^WORKER_CONCURRENCY: "0" .*set a whole number from 1 to 1000/),
    expect.stringMatching(/^WORKER_PORT: "65536" .*set a whole number from 0 to 65535/),
  ])
  expect(problems.join('\n')).not.toContain('hunter2')
})

describe('WORKER_JOBS', () => {
  it("names the jobs whose work it takes, the engine's own too", () => {
    expect(readWorkerEnvironment({}).WORKER_JOBS).toBeUndefined()
    const names = ' dispatchEmail, pruneJobRuns,'
    expect(readWorkerEnvironment({ WORKER_JOBS: names }).WORKER_JOBS).toEqual([
      'dispatchEmail',
      'pruneJobRuns',
    ])
  })

  it('asks back for one that there is not', () => {
    expect(problemsOf({ WORKER_JOBS: 'dispatchEmial' })).toEqual([
      'WORKER_JOBS: there is no job "dispatchEmial"; did you mean dispatchEmail?',
    ])
    expect(problemsOf({ WORKER_JOBS: ',' })).toEqual([
      expect.stringMatching(/^WORKER_JOBS: there is no job ""; name some of .*dispatchEmail/),
    ])
  })
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

describe('the issuer of invoices', () => {
  it('is read with its lines', () => {
    const { seller } = readWorkerEnvironment({
      SELLER_NAME: 'Some Company',
      SELLER_ADDRESS: '1 Some Street; 12345 Some Town;',
      SELLER_TAX_ID: 'XX123',
      SELLER_BANK_DETAILS: 'IBAN XX00 0000',
    })
    expect(seller).toEqual({
      name: 'Some Company',
      address: ['1 Some Street', '12345 Some Town'],
      taxId: 'XX123',
      bankDetails: ['IBAN XX00 0000'],
    })
  })

  it('is nobody in production, unless it is named', () => {
    const production = { NODE_ENV: 'production', DATABASE_URL: 'postgres://db.example/product' }
    expect(readWorkerEnvironment(production).seller).toBeNull()
  })
})

describe('mail', () => {
  const rateLimitOf = (name: string, source: NodeJS.ProcessEnv) =>
    readWorkerEnvironment(source).jobs.find((job) => job.name === name)?.rateLimit

  it('has a server, a sender and a limit', () => {
    const env = readWorkerEnvironment({
      SMTP_URL: 'smtps://user:password@mail.example.com',
      MAIL_FROM: 'Example <billing@example.com>',
      SMTP_MAX_PER_SECOND: '3',
    })

    expect(env.SMTP_URL).toBe('smtps://user:password@mail.example.com')
    expect(env.MAIL_FROM).toEqual({ name: 'Example', address: 'billing@example.com' })
  })

  it('is limited as the variable says, and nothing else is', () => {
    expect(rateLimitOf('dispatchEmail', {})).toEqual({ limit: 10, perMs: 1_000 })
    const source = { SMTP_MAX_PER_SECOND: '250' }
    expect(rateLimitOf('dispatchEmail', source)).toEqual({ limit: 250, perMs: 1_000 })
    expect(rateLimitOf('renderInvoicePdf', source)).toBeNull()
  })

  it.each(['mail.example.com', 'https://mail.example.com', 'smtp://u:hunter2@', 'smtp://h?pool=1'])(
    'refuses the server %s without repeating it',
    (text) => {
      const problems = problemsOf({ SMTP_URL: text })

      expect(problems).toEqual([
        expect.stringMatching(/^SMTP_URL: is not a mail server's URL; set smtp:\/\/user:password@/),
      ])
      expect(problems.join('')).not.toContain('hunter2')
    },
  )

  it.each(['0', '1001', 'many'])('refuses the limit %s', (text) => {
    expect(problemsOf({ SMTP_MAX_PER_SECOND: text })).toEqual([
      expect.stringMatching(/^SMTP_MAX_PER_SECOND: .*set a whole number from 1 to 1000/),
    ])
  })

  it('refuses a sender that is not one', () => {
    expect(problemsOf({ MAIL_FROM: 'Example' })).toEqual([
      expect.stringMatching(/^MAIL_FROM: "Example" is not an e-mail address; set one such as/),
    ])
  })
})

describe('telemetry', () => {
  const valid = {
    METRICS_TOKEN: 'a-token-of-sixteen-or-more',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
  }

  it('takes a token, a receiver and a share', () => {
    const source = { ...valid, OTEL_TRACES_SAMPLER_ARG: '0.25' }
    expect(readWorkerEnvironment(source)).toMatchObject({
      ...valid,
      OTEL_TRACES_SAMPLER_ARG: 0.25,
    })
  })

  it.each([
    ['METRICS_TOKEN', 'hunter2', /^METRICS_TOKEN: has fewer than 16 characters; make one with/],
    [
      'METRICS_TOKEN',
      'x'.repeat(16),
      /^METRICS_TOKEN: has fewer than 4 different characters.*make one/,
    ],
    ['METRICS_TOKEN', 'sixteen letters, \u00fc', /^METRICS_TOKEN: has characters that a header/],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', '127.0.0.1:4318', /^OTEL_EXPORTER_OTLP_ENDPOINT: is not the/],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5', /^OTEL_TRACES_SAMPLER_ARG: "1.5" is not a share; set a/],
    ['OTEL_TRACES_SAMPLER_ARG', 'half', /^OTEL_TRACES_SAMPLER_ARG: "half" is not a share/],
  ])('refuses %s=%j', (name, text, problem) => {
    const problems = problemsOf({ [name]: text })
    expect(problems).toEqual([expect.stringMatching(problem)])
    expect(problems.join('')).not.toContain('hunter2')
  })
})

describe('cron variables', () => {
  it.each((jobs as readonly Job[]).filter(isScheduled))('$name has one', ({ name }) => {
    expect(cronOf({ [cronVariable(name)]: '7 7 7 7 *' }, name)).toBe('7 7 7 7 *')
  })

  it.each(['0 4 * * 1-5', '*/10 * * * * *', '@hourly'])('accept %j', (cron) => {
    expect(cronOf({ CLEANUP_I18N_CACHE_CRON: cron }, 'cleanupI18nCache')).toBe(cron)
  })

  it('change one schedule and nothing else', () => {
    const [sessions, cache, ...others] = jobs
    const changed = readWorkerEnvironment({ CLEANUP_I18N_CACHE_CRON: '0 4 * * *' }).jobs

    expect(changed).toEqual([
      sessions,
      {
        ...cache,
        schedule: { ...cache.schedule, cron: '0 4 * * *', setBy: 'CLEANUP_I18N_CACHE_CRON' },
      },
      ...others,
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

it.each([
  'postgres://app:hush"1@db.example.com/shop',
  'postgres://app:hu/sh@1@db.example.com/shop',
  'postgres://db.example.com/shop?user=app&password=hush1',
])('prints no password of a URL that is in the place of another value: %s', (url) => {
  const misplaced = [
    'WORKER_PORT',
    'JOBS_ENABLED',
    'MAIL_FROM',
    'WORKER_JOBS',
    'CLEANUP_I18N_CACHE_CRON',
  ]
  const problems = problemsOf(Object.fromEntries(misplaced.map((name) => [name, url])))
  expect(problems).toHaveLength(misplaced.length)
  for (const problem of problems) expect(problem).not.toMatch(/hu.?sh/)
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
