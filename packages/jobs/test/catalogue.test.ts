import { cronProblem, isScheduled, nextTick, pruneJobRuns, type Job } from '@roundsman/engine'
import { payloadProblem } from '@roundsman/engine/internal'
import { describe, expect, it } from 'vitest'
import * as exports from '../src/index.ts'

const { jobs, ...own } = exports
const definitions = { ...own, pruneJobRuns }
const catalogue: readonly Job[] = jobs
const scheduled = catalogue.filter(isScheduled)

describe('the catalogue', () => {
  it('lists every job that is defined, once', () => {
    const defined = Object.values(definitions).map(({ name }) => name)

    expect(catalogue.map(({ name }) => name).toSorted()).toEqual(defined.toSorted())
    expect(new Set(defined).size).toBe(defined.length)
  })

  it('names each job like the constant that defines it', () => {
    for (const [constant, { name }] of Object.entries(definitions)) expect(name).toBe(constant)
  })

  it('has no two jobs whose cron variables would be the same', () => {
    // The variable's name is the job's, in capitals.
    const names = catalogue.map(({ name }) => name.toUpperCase())

    expect(new Set(names).size).toBe(names.length)
  })

  it.each(catalogue)('tells people what $name does, in a sentence', ({ description }) => {
    expect(description).toMatch(/^[A-Z].{10,}\.$/)
  })

  it.each(scheduled)('schedules $name validly, in UTC, at least once a month', ({ schedule }) => {
    expect(cronProblem(schedule.cron, schedule.timeZone)).toBeNull()
    expect(schedule.timeZone).toBe('UTC')
    const from = new Date()
    const month = 31 * 86_400_000
    expect(nextTick(schedule, from)?.getTime()).toBeLessThanOrEqual(from.getTime() + month)
  })

  it.each(scheduled)('accepts an empty payload for $name: a schedule has no other', (job) => {
    expect(payloadProblem(job, {})).toBeNull()
  })

  it.each(catalogue.filter(({ isDestructive }) => isDestructive))(
    'lets $name take away no more than its guard allows, or says why it may',
    ({ guard, unguarded }) => {
      expect(guard ?? unguarded).not.toBeNull()
    },
  )

  it('cleans preview sessions every quarter of an hour the i18n cache and old runs daily, one run at a time', () => {
    const named = (name: string) => scheduled.find((job) => job.name === name)
    const at = (cron: string) => ({ schedule: { cron }, isExclusive: true })
    expect(named('cleanupPreviewSessions')).toMatchObject(at('*/15 * * * *'))
    expect(named('cleanupI18nCache')).toMatchObject(at('0 3 * * *'))
    expect(named('pruneJobRuns')).toMatchObject(at('30 3 * * *'))
  })
})
