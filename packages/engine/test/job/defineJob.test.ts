import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, reschedule } from '../../src/index.ts'
import { payloadProblem } from '../../src/internal.ts'

const options = { name: 'sweep', description: 'Sweeps.' } as const

describe('defineJob', () => {
  it('fills in what is not said', () => {
    const job = defineJob({ ...options, schedule: { cron: '*/5 * * * *' } })

    expect(job).toMatchObject({
      timeoutMs: 900_000,
      retry: { limit: 2, delayMs: 5_000, maxDelayMs: 300_000 },
      concurrency: null,
      isExclusive: true,
      isDestructive: false,
      guard: null,
      unguarded: null,
      schedule: { timeZone: 'UTC', missed: 'once', overlap: 'skip', catchUpMs: 86_400_000 },
    })
    expect(payloadProblem(job, {})).toBeNull()
    expect(payloadProblem(job, { surprise: 1 })).toContain('surprise')
    expect(payloadProblem(job, [])).toBe('payload: must be an object')
  })

  it('lets runs overlap only where the schedule says so, or there is none', () => {
    expect(defineJob(options).isExclusive).toBe(false)
    expect(
      defineJob({ ...options, schedule: { cron: '* * * * *', overlap: 'allow' } }).isExclusive,
    ).toBe(false)
    expect(
      defineJob({ ...options, schedule: { cron: '* * * * *', overlap: 'queue' } }).isExclusive,
    ).toBe(true)
  })

  it.each([
    [{ name: 'has space' }, 'camelCase'],
    [{ name: 'Upper' }, 'camelCase'],
    [{ schedule: { cron: 'often' } }, '1 fields instead of 5'],
    [{ schedule: { cron: '99 * * * *' } }, 'not a cron expression'],
    [{ schedule: { cron: '0 0 31 2 *' } }, 'never due'],
    [{ schedule: { cron: '* * * * *', timeZone: 'Mars/Olympus' } }, 'not an IANA time zone'],
    [
      { schedule: { cron: '* * * * *', missed: 'all' as const } },
      "set overlap to 'queue' or 'allow'",
    ],
    [{ timeoutMs: 86_280_001 }, 'timeoutMs must be at most 86280000 (a day, less two minutes)'],
    [{ timeoutMs: 86_280_001 }, 'divide the work'],
    [{ guard: {} }, 'guard needs maxRows or maxShare'],
    [{ guard: { maxRows: 5, minRows: 1 } }, 'set maxShare, or leave it out'],
    [
      { guard: { maxRows: 5, maxShare: 0.5, minRows: 6 } },
      'guard.minRows (6) must not be more than guard.maxRows (5)',
    ],
    [{ isDestructive: true, unguarded: ' ' }, 'unguarded must say why it needs no guard'],
    [
      { isDestructive: true, guard: { maxRows: 5 }, unguarded: 'Because.' },
      'unguarded is for jobs without a guard',
    ],
    [{ unguarded: 'Because.' }, 'unguarded is for destructive jobs'],
  ])('refuses %j and says why, naming the job', (wrong, message) => {
    const define = () => defineJob({ ...options, ...wrong })

    expect(define).toThrow(message)
    expect(define).toThrow(`Job "${'name' in wrong ? wrong.name : 'sweep'}"`)
  })

  it.each([
    [{ cron: '* * * * *' }, "cron is unknown: set schedule: { cron: '…' }"],
    [{ timeout: 5_000 }, 'timeout is unknown: did you mean timeoutMs?'],
    [
      { handler: () => undefined },
      'handler is unknown: give the worker its handlers: createWorker({ jobs, handlers })',
    ],
    [{ descripton: 'x' }, 'descripton is unknown: did you mean description?'],
    [{ retry: 3 }, 'retry must be an object with limit, delayMs, maxDelayMs, not 3'],
    [{ retry: { limits: 3 } }, 'retry.limits is unknown: did you mean limit?'],
    [{ description: 5 }, 'description must be a text, not 5'],
    [{ schedule: { cron: '@daily', timezone: 'UTC' } }, 'did you mean timeZone?'],
    [{ guard: { rows: 5 } }, 'guard.rows is unknown'],
    [{ isolate: { memory: 5 } }, 'isolate.memory is unknown: did you mean memoryMb?'],
    [{ isDestructive: 'yes' }, 'isDestructive must be true or false, not "yes"'],
  ])('refuses the option that it does not know: %j', (wrong, message) => {
    expect(() => defineJob({ ...options, ...(wrong as object) })).toThrow('Job "sweep": ')
    expect(() => defineJob({ ...options, ...(wrong as object) })).toThrow(message)
  })

  it('accepts a cron expression with seconds', () => {
    expect(defineJob({ ...options, schedule: { cron: '*/10 * * * * *' } }).schedule?.cron).toBe(
      '*/10 * * * * *',
    )
  })
})

describe('reschedule', () => {
  it('changes the expression and nothing else', () => {
    const job = defineJob({
      ...options,
      payload: z.object({}),
      schedule: { cron: '0 3 * * *', overlap: 'queue' },
    })

    expect(reschedule(job, '0 4 * * *').schedule).toEqual({ ...job.schedule, cron: '0 4 * * *' })
    expect(reschedule(job, '0 4 * * *', 'LATE_CRON').schedule).toEqual({
      ...job.schedule,
      cron: '0 4 * * *',
      setBy: 'LATE_CRON',
    })
  })

  it('refuses a job that has no schedule, and an expression that is none', () => {
    expect(() => reschedule(defineJob(options), '0 4 * * *')).toThrow('schedule is missing')
    expect(() =>
      reschedule(defineJob({ ...options, schedule: { cron: '* * * * *' } }), 'x'),
    ).toThrow('"x"')
    const scheduled = defineJob({ ...options, schedule: { cron: '* * * * *' } })
    expect(() => reschedule(scheduled, '0 4 * * *', 'a\0b')).toThrow('setBy holds a NUL')
  })
})

it.each([
  { schedule: { cron: 5 }, problem: 'schedule.cron cannot be used: a cron expression is a text' },
  { schedule: { cron: '@daily', missed: 'never' }, problem: 'schedule.missed must be one of once' },
  { schedule: { cron: '@daily', overlap: 'perhaps' }, problem: 'schedule.overlap must be one of' },
])('refuses the schedule $schedule with the name of the job', ({ schedule, problem }) => {
  const define = () => defineJob({ name: 'late', schedule: schedule as never })
  expect(define).toThrow(`Job "late": ${problem}`)
})
