import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, defineLimit, type JobError } from '../../src/index.ts'
import { keyOfWork } from '../../src/job/limits.ts'

const stripe = defineLimit({ name: 'stripe', global: 20 })
const base = { name: 'sync', payload: z.object({ tenantId: z.string() }) } as const
const partition = { key: ({ tenantId }: { tenantId: string }) => tenantId }

describe('limits and keys of a job', () => {
  it('are none where nothing is said', () => {
    expect(defineJob(base)).toMatchObject({
      concurrency: null,
      globalConcurrency: null,
      concurrencyPerKey: null,
      partition: null,
      rateLimit: null,
      limits: [],
    })
  })

  it('are as they are given; a number stays that of each worker', () => {
    expect(defineJob({ ...base, concurrency: 3 })).toMatchObject({
      concurrency: 3,
      globalConcurrency: null,
    })
    const paced = defineLimit({ name: 'mail', rateLimit: { limit: 100, perMs: 1_000 } })
    expect(
      defineJob({
        ...base,
        concurrency: { perWorker: 10, global: 50, perKey: 2 },
        partition,
        rateLimit: { limit: 100, perMs: 60_000, by: 'key' },
        limits: [stripe, paced],
      }),
    ).toMatchObject({
      concurrency: 10,
      globalConcurrency: 50,
      concurrencyPerKey: 2,
      partition: { order: 'fair' },
      rateLimit: { limit: 100, perMs: 60_000, by: 'key' },
      limits: [
        { name: 'stripe', global: 20, rateLimit: null },
        { name: 'mail', global: null, rateLimit: { limit: 100, perMs: 1_000 } },
      ],
    })
  })

  it('are one run of a key at a time where the order is fifo', () => {
    const job = defineJob({ ...base, partition: { ...partition, order: 'fifo' } })
    expect(job).toMatchObject({ concurrencyPerKey: 1, partition: { order: 'fifo' } })
  })

  it.each([
    [{ concurrency: 'many' }, 'concurrency must be a number, or { perWorker, global, perKey }'],
    [{ concurrency: {} }, 'concurrency must be a number, or { perWorker, global, perKey }'],
    [{ concurrency: null }, 'concurrency must be a number, or { perWorker, global, perKey }'],
    [
      { concurrency: { total: 5 } },
      'concurrency.total is unknown: the options are perWorker, global, perKey',
    ],
    [{ concurrency: { perKey: 2 } }, 'concurrency.perKey needs to know the key of a piece of work'],
    [{ concurrency: { perKey: 2 } }, 'set partition: { key: (payload) => … }'],
    [{ rateLimit: { limit: 1, perMs: 1, by: 'key' } }, 'rateLimit.by needs to know the key'],
    [{ rateLimit: { limit: 1, perMs: 1, by: 'tenant' } }, 'rateLimit.by must be one of job, key'],
    [{ partition: { key: 'tenantId' } }, 'partition.key must be a function of the payload'],
    [{ partition: 'tenantId' }, 'partition must be an object with key, order, not "tenantId"'],
    [{ partition: { ...partition, order: 'lifo' } }, 'partition.order must be one of fair, fifo'],
    [{ partition: { ...partition, by: 1 } }, 'partition.by is unknown: the options are key, order'],
    [
      { partition: { ...partition, order: 'fifo' }, concurrency: { perKey: 2 } },
      'concurrency.perKey is 1 with the order fifo, not 2',
    ],
    [{ limits: stripe }, 'limits must be a list, not an object'],
    [{ limits: ['stripe'] }, 'limits[0] must be what defineLimit returns'],
    [{ limits: [stripe, stripe] }, 'limits must be at most 2 limits, each once'],
  ])('refuses %j and says why, naming the job', (wrong, message) => {
    const define = () => defineJob({ ...base, ...(wrong as object) })
    expect(define).toThrow(message)
    expect(define).toThrow('Job "sync": ')
  })

  it.each([
    [{ name: 'has space', global: 1 }, 'Limit "has space": name must be a camelCase identifier'],
    [{ name: 'job:sync', global: 1 }, 'name must be a camelCase identifier'],
    [{ name: 'stripe' }, 'Limit "stripe": options limit nothing; set global, rateLimit, or both'],
    [{ name: 'stripe', global: -1 }, 'Limit "stripe": global must be a positive whole number'],
    [
      { name: 'stripe', rateLimit: { limit: 1, perMs: 1, by: 'key' } },
      'Limit "stripe": rateLimit.by is unknown: jobs have keys',
    ],
  ])('refuses the limit %j', (wrong, message) => {
    expect(() => defineLimit(wrong as never)).toThrow(message)
  })
})

describe('the key of a piece of work', () => {
  const of = (key: unknown, payload: unknown = { tenantId: 'a' }) =>
    keyOfWork({ partition: { key: key as never, order: 'fair' } }, payload)

  it('is what the function says, nothing being an empty one', () => {
    expect(of(partition.key)).toBe('a')
    expect(of(() => '🐘'.repeat(50))).toBe('🐘'.repeat(50))
    for (const none of [null, undefined, '']) expect(of(() => none)).toBe('')
    expect(keyOfWork({ partition: null }, {})).toBeUndefined()
  })

  it.each([
    [
      () => {
        throw new Error('no')
      },
      'the key function of its job has thrown',
    ],
    [() => 5, 'the key function of its job returned number instead of a text'],
    [() => Promise.reject(new Error('no')), 'returned object instead of a text'],
    [() => 'a\0', 'its key has characters that PostgreSQL cannot hold'],
    [() => '\ud800', 'its key has characters that PostgreSQL cannot hold'],
    [() => '🐘'.repeat(51), 'has 204 bytes, more than 200'],
  ])('is refused as %s gives it', (key, message) => {
    const found = (() => {
      try {
        return of(key)
      } catch (error) {
        return error as JobError
      }
    })()
    expect(found).toMatchObject({ code: 'payload_invalid', retryable: false })
    expect((found as JobError).message).toContain(message)
  })
})
