import { describe, expect, it } from 'vitest'
import { checkEnvironment } from '../../src/check/checkEnvironment.ts'

describe('checkEnvironment', () => {
  it('finds nothing where nothing is set', () => {
    expect(checkEnvironment({})).toMatchObject({ findings: [], databaseProblem: null })
  })

  it('tells of an override which job it is, and goes on with the default', () => {
    const { env, findings } = checkEnvironment({
      CLEANUP_I18N_CACHE_CRON: '61 * * * *',
      PRUNE_JOB_RUNS_CRON: '0 5 * * *',
    })

    expect(findings).toEqual([
      {
        severity: 'error',
        code: 'cron_variable_invalid',
        job: 'cleanupI18nCache',
        problem: expect.stringMatching(/^CLEANUP_I18N_CACHE_CRON: "61 \* \* \* \*" is not a cron/),
        remedy: 'set one such as "*/15 * * * *", or leave it out for "0 3 * * *"',
      },
    ])
    const crons = Object.fromEntries(env.jobs.map(({ name, schedule }) => [name, schedule?.cron]))
    expect(crons).toMatchObject({ cleanupI18nCache: '0 3 * * *', pruneJobRuns: '0 5 * * *' })
  })

  it('tells all that is wrong, and what is about no job', () => {
    const { findings } = checkEnvironment({ LOG_LEVEL: 'loud', WORKER_CONCURRENCY: '0' })

    expect(findings).toMatchObject([
      { code: 'variable_invalid', job: null, problem: expect.stringMatching(/^LOG_LEVEL: /) },
      {
        code: 'variable_invalid',
        job: null,
        problem: expect.stringMatching(/^WORKER_CONCURRENCY: /),
      },
    ])
    for (const { remedy } of findings) expect(remedy).not.toBe('')
  })

  it('tells of a variable that no job reads', () => {
    const { findings } = checkEnvironment({ CLEANUP_I18N_CRON: '0 3 * * *', OTHER_CRON: '' })

    expect(findings).toMatchObject([
      {
        severity: 'warning',
        code: 'cron_variable_unknown',
        problem: 'CLEANUP_I18N_CRON is set, and no scheduled job reads it',
        remedy: expect.stringContaining('CLEANUP_I18N_CACHE_CRON'),
      },
    ])
  })

  it('lets nobody look into a database that was not meant', () => {
    const wrong = checkEnvironment({ DATABASE_URL: 'mysql://u:hunter2@localhost/shop' })

    expect(wrong.databaseProblem).toBe('DATABASE_URL is wrong')
    expect(JSON.stringify(wrong.findings)).not.toContain('hunter2')
    expect(checkEnvironment({ NODE_ENV: 'production' })).toMatchObject({
      databaseProblem: 'DATABASE_URL is wrong',
      findings: [{ code: 'variable_invalid', job: null }],
    })
  })
})
