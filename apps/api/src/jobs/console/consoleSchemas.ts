import { JobRunStatus, TickOutcome } from '@roundsman/db'
import { MISSED_POLICIES, OVERLAP_POLICIES } from '@roundsman/engine'
import { z } from 'zod'
import { actionSchema } from '../readActions.ts'
import type {
  ConsoleAttention,
  ConsoleJob,
  ConsoleJobDetail,
  ConsoleJobs,
  ConsoleOverview,
  ConsoleQueue,
} from './consoleContract.ts'

const at = z.iso.datetime()
const count = z.int()
const ms = z.number()
const progress = z.object({ done: z.number(), total: z.number().nullable() })

const runBrief = z.object({
  id: z.guid(),
  status: z.enum(JobRunStatus),
  startedAt: at,
  endedAt: at.nullable(),
})

const attention: z.ZodType<ConsoleAttention> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('late'), name: z.string(), since: at, lateMs: ms }),
  z.object({
    kind: z.literal('overrunning'),
    name: z.string(),
    runId: z.guid(),
    since: at,
    usualMs: ms.nullable(),
  }),
  z.object({
    kind: z.literal('failed'),
    name: z.string(),
    runId: z.guid(),
    since: at,
    code: z.string(),
    message: z.string(),
  }),
  z.object({
    kind: z.literal('blocked'),
    name: z.string(),
    runId: z.guid(),
    since: at,
    due: z.number(),
    approvableUntil: at,
  }),
  z.object({ kind: z.literal('deadLetters'), name: z.string(), count, since: at }),
  z.object({ kind: z.literal('noWorker'), since: at.nullable() }),
])

export const overviewSchema: z.ZodType<ConsoleOverview> = z.object({
  generatedAt: at,
  workers: z.array(
    z.object({
      id: z.string(),
      startedAt: at,
      lastSignAt: at,
      liveness: z.enum(['lock', 'heartbeat']),
      isAlive: z.boolean(),
      running: z.array(
        z.object({
          id: z.guid(),
          name: z.string(),
          startedAt: at,
          progress: progress.nullable(),
        }),
      ),
    }),
  ),
  attention: z.array(attention),
  nextTicks: z.array(z.object({ name: z.string(), at })),
  hours: z.array(z.object({ from: at, success: count, failed: count, running: count })),
  jobs: z.object({ total: count, scheduled: count, paused: count, late: count }),
})

const jobSchema: z.ZodType<ConsoleJob> = z.object({
  name: z.string(),
  description: z.string(),
  schedule: z
    .object({
      cron: z.string(),
      timeZone: z.string(),
      words: z.string(),
      missed: z.enum(MISSED_POLICIES),
      overlap: z.enum(OVERLAP_POLICIES),
      catchUpMs: ms,
      nextAt: at.nullable(),
      lateMs: ms.nullable(),
    })
    .nullable(),
  paused: z.object({ at, by: z.string().nullable(), reason: z.string().nullable() }).nullable(),
  guard: z
    .object({
      maxRows: z.number().nullable(),
      maxShare: z.number().nullable(),
      minRows: z.number().nullable(),
    })
    .nullable(),
  timeoutMs: ms,
  retry: z.object({ limit: count, delayMs: ms, maxDelayMs: ms }),
  lastRun: runBrief.nullable(),
  ticks: z.array(
    z.object({
      scheduledFor: at,
      outcome: z.enum(TickOutcome),
      reason: z.string().nullable(),
      count,
      run: runBrief.nullable(),
    }),
  ),
  recentRuns: z.array(runBrief.extend({ durationMs: ms, cleaned: z.number().nullable() })),
  takesPayload: z.boolean(),
})

export const jobsSchema: z.ZodType<ConsoleJobs> = z.object({ jobs: z.array(jobSchema) })

export const jobDetailSchema: z.ZodType<ConsoleJobDetail> = z.object({
  job: jobSchema,
  days: z.array(
    z.object({
      date: z.iso.date(),
      success: count,
      failed: count,
      p50Ms: ms.nullable(),
      p95Ms: ms.nullable(),
    }),
  ),
  duration: z.object({ p50Ms: ms.nullable(), p95Ms: ms.nullable(), runs: count }),
  upcoming: z.array(
    z.object({
      at,
      local: z.string(),
      offset: z.string(),
      mark: z.enum(['afterGap', 'repeatedHour']).nullable(),
    }),
  ),
  isCut: z.boolean(),
  actions: z.array(actionSchema),
})

export const queueSchema: z.ZodType<ConsoleQueue> = z.object({
  generatedAt: at,
  jobs: z.array(
    z.object({
      name: z.string(),
      waiting: count,
      delayed: count,
      active: count,
      deadLetters: count,
      oldestWaitingAt: at.nullable(),
      completedLastHour: count,
      failedLastHour: count,
    }),
  ),
  throughput: z.array(z.object({ from: at, ended: count })),
})
