// Not quick: waits for a busy pool.
import { jobs } from '@roundsman/jobs'
import { openForTests, UNKNOWN_ID } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { createTestApi, JWT_SECRET } from '../createTestApi.ts'

const api = openForTests(createTestApi)

const POOL_SIZE = 10

it('waits for a connection longer than Prisma would, whatever an admin asks for', async () => {
  const { prisma, jobsClient, clock } = api
  const now = new Date()
  await prisma.jobSchedule.createMany({
    data: ['cleanupI18nCache', 'pruneJobRuns'].map((name) => ({
      name,
      cron: '0 3 * * *',
      timeZone: 'UTC',
      cursor: now,
      pausedAt: name === 'pruneJobRuns' ? now : null,
    })),
  })
  const asks = [
    ['cleanupI18nCache/run', 202],
    ['cleanupI18nCache/pause', 200],
    ['pruneJobRuns/resume', 200],
    [`runs/${UNKNOWN_ID}/cancel`, 404],
    [`runs/${UNKNOWN_ID}/approve`, 404],
  ] as const

  // All requests pass authentication before the last connection is taken: what then waits is their own work.
  const allLetIn = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  let letIn = 0
  const app = buildApp({
    prisma,
    jobsClient,
    jobs,
    jwtSecret: JWT_SECRET,
    now: clock.now,
  })
  app.addHook('preValidation', async () => {
    letIn += 1
    if (letIn === asks.length) allLetIn.resolve()
    await gate.promise
  })
  const answers = asks.map(([path]) =>
    app.inject({
      method: 'POST',
      url: `/api/jobs/${path}`,
      headers: { authorization: `Bearer ${api.app.issueToken(api.userIds.admin)}` },
      ...(path.endsWith('resume') ? {} : { payload: { reason: 'why' } }),
    }),
  )
  await allLetIn.promise

  const release = Promise.withResolvers<void>()
  const begun = Array.from({ length: POOL_SIZE }, () => Promise.withResolvers<void>())
  const held = begun.map(({ resolve }) =>
    prisma.$transaction(
      () => {
        resolve()
        return release.promise
      },
      { maxWait: 10_000, timeout: 30_000 },
    ),
  )
  try {
    await Promise.all(begun.map(({ promise }) => promise))
    gate.resolve()
    // As long as Prisma itself waits, twice: the first of these may have begun before the requests.
    for (const _ of [1, 2]) {
      await expect(prisma.$transaction(async () => undefined)).rejects.toThrow(/given time/)
    }
  } finally {
    release.resolve()
    await Promise.all(held)
  }
  const statuses = (await Promise.all(answers)).map(({ statusCode }) => statusCode)
  expect(statuses).toEqual(asks.map(([, status]) => status))
  await app.close()
}, 60_000)
