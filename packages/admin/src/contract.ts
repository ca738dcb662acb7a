import {
  BULK_KINDS,
  EXPLAINED_STATES,
  GROUPED_BY,
  JOB_TRIGGERS,
  KEY_ORDERS,
  KEYED_OVERLAPS,
  MISSED_POLICIES,
  OVERLAP_POLICIES,
  PASSED_REASONS,
  TICK_OUTCOMES,
  type JobTrigger,
  RUN_OUTCOMES,
  RUN_STATUSES,
  WAIT_REASONS,
} from '@roundsman/engine/internal'
import { z } from 'zod'
import { nextPageCursor } from './http/pageCursor.ts'

/*
 * What the console gets over HTTP, here with /api as the prefix that a host may choose. Instants are ISO 8601 in UTC,
 * durations milliseconds. Runs, dead letters, waiting work, ticks (GET /api/jobs/:name/ticks) and all actions are the
 * routes that programs use too. The console imports only types.
 *
 * The host knows who looks, and GET /api/console/access tells. A host with sessions for the console (`hasSessions`) logs in
 * by POST /api/console/session {email, password}: 200 and a session cookie that scripts can't read, else 401 or 403. GET
 * says who one is (401: nobody), DELETE logs out (204). Every request that changes something then sends the session's
 * csrfToken in the header x-csrf-token.
 */

/** What the server writes into the page, as attributes of <meta name="roundsman">. */
export interface ConsoleSettings {
  /** The console's path, such as `/console`. */
  base: string
  /** The API's path, such as `/api`. */
  api: string
  /** Whether the host has sessions for the console. */
  hasSessions: boolean
  /** Where somebody logs in who is not logged in; empty when the console does not know. */
  loginUrl: string
}

/** GET and POST /api/console/session */
export interface ConsoleSession {
  user: { id: string; email: string; role: string }
  csrfToken: string
}

export type RunStatus = (typeof RUN_STATUSES)[number]
/** What became of a run, in people's words: its status, or what its failure really was. */
export type RunOutcome = (typeof RUN_OUTCOMES)[number]
export type RunTrigger = JobTrigger

/** GET /api/console/access */
export type ConsoleAccess = z.output<typeof accessSchema>
export const accessSchema = z.object({
  actor: z.string(),
  act: z.boolean().describe('Whether this person may change anything; false may only look'),
  payloads: z.boolean().describe('Whether this person may look at payloads'),
})

/** GET /api/console/environment */
export type ConsoleEnvironment = z.output<typeof environmentSchema>
export const environmentSchema = z.object({
  name: z.string().describe('The name of the environment, such as production or staging'),
  isProduction: z.boolean(),
  version: z
    .string()
    .nullable()
    .describe('The version of the product; null when the host names none'),
  database: z
    .object({ host: z.string(), name: z.string() })
    .describe('Where the database is, without user and password; host is empty for a local socket'),
})

const at = z.iso.datetime()
const count = z.int()
const ms = z.number()

export type Progress = z.output<typeof progressSchema>
export const progressSchema = z.object({
  done: z.number(),
  total: z.number().nullable().describe('Null when the run does not know how much there is to do'),
})

/** What a job shows of a payload, keyed by the names that it chose. */
export type Shown = z.output<typeof shownSchema>
export const shownSchema = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean(), z.null()]),
)

/** POST /api/jobs/bulk, and one of GET /api/jobs/bulk. */
export type BulkAct = z.output<typeof bulkSchema>
export const bulkSchema = z.object({
  id: z.guid(),
  kind: z.enum(BULK_KINDS),
  which: z
    .record(z.string(), z.unknown())
    .describe('The filter by which they were chosen; empty for all, or for chosen ids'),
  isByIds: z.boolean(),
  names: z.array(z.string()).describe('The jobs of what matched'),
  startAfter: at.nullable(),
  priority: z.int().nullable(),
  actor: z.string(),
  reason: z.string().nullable(),
  startedAt: at,
  matched: z
    .int()
    .describe('How many matched when it was asked for; what came later is left alone'),
  isCut: z.boolean().describe('Whether more matched than a million: the others stay as they are'),
  done: z.int(),
  passed: z
    .partialRecord(z.enum(PASSED_REASONS), z.int())
    .describe('How many it has passed over, by the reason'),
  left: z.int().describe('How many it has not come to'),
  problem: z.string().nullable().describe('Why it does not go on at the moment; it is tried again'),
  endedAt: at.nullable().describe('Null while it goes on'),
  stoppedBy: z.string().nullable().describe('Who stopped it before it was done'),
})

/** Also part of GET /api/jobs/runs/:id, as `actions`, in their order. */
export type ConsoleAction = z.output<typeof actionSchema>
export const actionSchema = z.object({
  at,
  action: z
    .string()
    .describe(
      'run, dryRun, pause, resume, cancel, approve, redrive (Retry of a dead letter), discard, pauseQueue, resumeQueue, cancelWork, postponeWork, prioritiseWork, showPayload (somebody looked), reschedule or backfill',
    ),
  actor: z.string(),
  reason: z.string().nullable(),
  bulk: bulkSchema
    .pick({
      id: true,
      matched: true,
      isCut: true,
      done: true,
      left: true,
      endedAt: true,
      stoppedBy: true,
    })
    .nullable()
    .describe('What came of an act on many, of which this was one; else null'),
})

/** POST /api/jobs/runs/:id/payload and /api/jobs/work/:workId/payload */
export type HeldPayload = z.output<typeof heldPayloadSchema>
export const heldPayloadSchema = z.object({
  payload: z
    .unknown()
    .describe('Without credentials and e-mail addresses, except in the parts that the job shows'),
})

/** What somebody has done before, of which an answer tells whoever comes too late. */
export type Earlier = NonNullable<z.output<typeof earlierSchema>>
export const earlierSchema = actionSchema.omit({ bulk: true }).optional()

/** GET /api/console/jobs/:name/payload */
export type ConsolePayload = z.output<typeof payloadSchema>
export const payloadSchema = z.object({
  isNeeded: z.boolean().describe('Whether the job refuses an empty payload'),
  schema: z
    .record(z.string(), z.unknown())
    .nullable()
    .describe(
      'The payload that the job takes, as JSON Schema 2020-12; null when the job’s schema library cannot export it',
    ),
})

/** Part of a run in GET /api/jobs/runs/:id. */
export type KeptLog = z.output<typeof keptLogSchema>
const keptLogSchema = z.object({
  lines: z.array(
    z.object({
      at,
      level: z.string().describe('One of trace, debug, info, warn, error and fatal'),
      message: z.string(),
      fields: z
        .string()
        .nullable()
        .describe('The fields of the line, each as name=value; null when it has none'),
    }),
  ),
  earlier: z.int().describe('How many earlier lines were logged and not kept'),
})

const equalFailuresSchema = z.object({
  count: z.int().describe('How many runs of the job failed in the same way, this one included'),
  since: at,
  isCut: z.boolean().describe('Whether there may be more: only the latest failures were counted'),
})

const workOfRunSchema = z.object({
  holdsPayload: z
    .boolean()
    .describe(
      'Whether the queue still holds the payload, so that POST /api/jobs/runs/:id/run-again works',
    ),
  isDeadLetter: z.boolean(),
  nextAt: at
    .nullable()
    .describe('When a worker may start the next attempt; null when the work does not wait'),
  losses: z
    .int()
    .nullable()
    .describe(
      'How many workers it has lost, which uses up no retry; from 2 on it runs alone. Null when it neither waits nor is a dead letter',
    ),
})

/** A run as GET /api/jobs/runs lists it. */
export type Run = z.output<typeof runSchema>
export const runSchema = z.object({
  id: z.guid(),
  name: z.string(),
  label: z
    .string()
    .nullable()
    .describe('What the run is about, from the job’s label function; null when the job has none'),
  status: z.enum(RUN_STATUSES),
  outcome: z
    .enum(RUN_OUTCOMES)
    .describe(
      'The status, with failed split by its cause: cancelled, blocked, expired, lost, givenBack, or else failed',
    ),
  errorCode: z
    .string()
    .nullable()
    .describe('The code in details.error; null unless the run failed'),
  trigger: z.enum(JOB_TRIGGERS),
  attempt: z.int().describe('1 for the first attempt at its work'),
  scheduledFor: at
    .nullable()
    .describe('The tick of the schedule that started the run; null when none did'),
  startedAt: at,
  endedAt: at.nullable().describe('Null while the run is running'),
  durationMs: z.int().nullable().describe('Null while the run is running'),
  details: z
    .unknown()
    .describe(
      'What the run counted and its handler returned, with error (code and message) when it failed. Details above 128 kB (1 MB when a single run is asked for) are left out: detailsTooLarge then gives their stored bytes, beside error. Details of more than 100 levels are left out as well, for detailsTooDeep',
    ),
  dryRun: z.boolean(),
  actor: z.string().nullable().describe('The person who requested the run; null when nobody did'),
  reason: z.string().nullable(),
  workId: z.guid().nullable(),
  workerId: z.string(),
  version: z
    .string()
    .nullable()
    .describe(
      'The version of the product that its worker ran; null when it is not known: the worker did not say, or somebody removed its record',
    ),
  progress: progressSchema
    .nullable()
    .describe('What the run last reported; it is stored at most once a second'),
  cancelRequestedAt: at.nullable(),
  cancelRequestedBy: z.string().nullable(),
  approvedAt: at.nullable().describe('When somebody approved the run, which its guard had blocked'),
  approvedBy: z.string().nullable(),
  createdAt: at,
})

export type ConsoleRunBrief = z.output<typeof runBrief>
const runBrief = runSchema.pick({
  id: true,
  status: true,
  outcome: true,
  startedAt: true,
  endedAt: true,
})

/** Part of a run in GET /api/jobs/runs/:id. */
export type BatchMark = z.output<typeof batchMark>
const batchMark = z.object({
  at,
  batches: z.int().describe('How many batches had been committed by then, this one included'),
  counts: z.record(z.string(), z.number()).describe('The totals that the run had counted by then'),
})

const dueAt = at
  .nullable()
  .describe(
    'When the attempt was due; null when that was as soon as its work was enqueued, so neither delayed nor a retry',
  )

const attemptSchema = runBrief.extend({
  dueAt,
  ...runSchema.pick({ attempt: true, errorCode: true }).shape,
})

/** Part of a run in GET /api/jobs/runs/:id. */
export type LinkedRun = z.output<typeof linkedRunSchema>
const linkedRunSchema = runSchema.pick({
  id: true,
  name: true,
  label: true,
  outcome: true,
  startedAt: true,
  endedAt: true,
})

const linkSchema = z.object({
  id: z.guid(),
  run: linkedRunSchema.nullable().describe('Null when its record is no longer kept'),
})

/** Part of a run in GET /api/jobs/runs/:id. */
export type RunLinks = z.output<typeof runLinksSchema>
const runLinksSchema = z.object({
  parent: linkSchema
    .nullable()
    .describe('The run whose handler has enqueued its work; null when none has'),
  again: linkSchema
    .extend({
      isApproval: z
        .boolean()
        .describe('Whether that person approved it, which its guard had blocked'),
      actor: z.string(),
      at,
    })
    .nullable()
    .describe('The run that a person had done again by this one; null when nobody had'),
  children: z
    .array(
      z.object({
        workId: z.guid(),
        name: z.string(),
        label: z.string().nullable(),
        run: linkedRunSchema.nullable().describe('Its last run; null when it has not started'),
        startAfter: at.nullable().describe('Not started before then; null when it does not wait'),
      }),
    )
    .describe(
      'The work that its handler has enqueued, and what people had done again: the first 20, as far as it has started or waits',
    ),
  areChildrenCut: z.boolean().describe('Whether there may be more'),
  sameLabel: z
    .array(linkedRunSchema)
    .describe(
      'Of other work of the job with the same label: the last run that started within ten minutes before this one, and the first within ten minutes after it',
    ),
})

/** GET /api/jobs/runs/:id */
export type RunDetail = z.output<typeof runDetailSchema>
export const runDetailSchema = runSchema.extend({
  attempts: z
    .array(attemptSchema)
    .describe('The other attempts at the same piece of work, the first one first'),
  enqueuedAt: at
    .nullable()
    .describe(
      'When the work of the run was enqueued; null when that is not known, or not any more',
    ),
  batchMarks: z
    .array(batchMark)
    .describe('When the run committed batches: the first, the last and some between; at most 17'),
  actions: z
    .array(actionSchema)
    .describe('Activity: what was done about the run, the first action first'),
  shown: shownSchema
    .nullable()
    .describe('The fields of the payload that the job lists in show; null when it lists none'),
  dueAt,
  logs: keptLogSchema
    .nullable()
    .describe('The last lines that the handler logged; null when it logged none, or none are kept'),
  equalFailures: equalFailuresSchema
    .nullable()
    .describe(
      'Runs of the job that failed alike within a day before or after; null when this one has not failed',
    ),
  work: workOfRunSchema.describe('What the queue still holds of the work of the run'),
  key: z
    .string()
    .nullable()
    .describe('The key of its work, by which its job divides it; null when it had none'),
  uniqueKey: z
    .string()
    .nullable()
    .describe('The unique key with which its work was enqueued; null when it had none'),
  enqueuedBy: z
    .string()
    .nullable()
    .describe(
      'What enqueued its work, as that calls itself, such as a request; null when it did not say',
    ),
  traceId: z
    .string()
    .nullable()
    .describe(
      'The trace in which its work was enqueued, as W3C Trace Context has it; null when none was',
    ),
  links: runLinksSchema,
  timeZone: z
    .string()
    .nullable()
    .describe(
      'The time zone of the schedule that named scheduledFor, as it is now; null without one',
    ),
  waits: z
    .array(
      z.object({
        isOfWorker: z
          .boolean()
          .describe(
            'Whether it is a session of the run’s worker, by its name; else it may be that of another run, or of no run',
          ),
        waiter: z.string(),
        since: at,
        holder: z
          .string()
          .describe('Whose lock it waits for: pid 4711 (psql, idle in transaction)'),
        holderSince: at
          .nullable()
          .describe('Since when the holder’s transaction is open; null when that cannot be seen'),
      }),
    )
    .describe(
      'Sessions that wait for a lock at this moment, at most 5; none unless the run is under way',
    ),
})

/** One of GET /api/jobs/dead-letters. */
const workKey = z
  .string()
  .nullable()
  .describe(
    'By which its job divides its work: empty where it has none, null where its job has no keys',
  )

export type DeadLetter = z.output<typeof deadLetterSchema>
export const deadLetterSchema = z.object({
  workId: z.guid().describe('The id of the work; each of its runs has it as workId'),
  name: z.string(),
  label: z
    .string()
    .nullable()
    .describe('What the work is about, from the job’s label function; null when the job has none'),
  key: workKey,
  shown: shownSchema
    .nullable()
    .describe('The fields of the payload that the job lists in show; null when it lists none'),
  attempts: z.int().describe('How many attempts were made'),
  losses: z
    .int()
    .describe(
      'How many workers have died while they ran it; from 2 on it goes back into the queue only with evenIfWorkersDied',
    ),
  enqueuedAt: at,
  failedAt: at,
  error: z.object({ code: z.string(), message: z.string() }),
  runId: z.guid().nullable().describe('The last run of this work; null once that run is pruned'),
})

/** One of GET /api/jobs/dead-letters/causes. */
export type DeadLetterCause = z.output<typeof deadLetterCauseSchema>
export const deadLetterCauseSchema = z.object({
  code: z.string(),
  count: z.int(),
  firstAt: at.describe('When the first dead letter with this code was given up'),
  lastAt: at,
  message: z
    .string()
    .nullable()
    .describe('The error message of the latest dead letter with this code'),
  isCut: z
    .boolean()
    .describe(
      'Whether there may be more, and older ones: the latest 100,000 dead letters are counted',
    ),
})

/** GET /api/jobs/work/groups and /api/jobs/dead-letters/groups */
export type PieceGroups = z.output<typeof groupsSchema>
export const groupsSchema = z.object({
  looked: z
    .int()
    .describe(
      'How many were looked at: up to 10,000, of waiting work what workers take first, of dead letters the latest',
    ),
  isCut: z.boolean().describe('Whether there are more, which the groups do not count'),
  fields: z.array(z.string()).describe('The fields that their jobs show; at most 20'),
  groups: z
    .array(
      z.object({
        by: z.enum(GROUPED_BY),
        field: z.string().nullable().describe('A field that is shown; null: by key or label'),
        value: z.string(),
        count: z.int(),
        oldestAt: at
          .nullable()
          .describe('When the first was enqueued, or given up; null when there are more'),
      }),
    )
    .describe(
      'By key, by label, then by each field; of each the 8 largest. None has a single member',
    ),
})

const slotHolders = z.array(
  z.object({
    runId: z.guid(),
    name: z.string(),
    key: z.string().nullable(),
    workerId: z.string(),
    startedAt: at,
  }),
)
const keyRules = {
  perKey: count.nullable(),
  order: z.string().nullable().describe('In which order keys get their turn'),
  rateLimit: count.nullable(),
  ratePerMs: z.number().nullable(),
  rateBy: z.string().nullable(),
}
const listedKey = z.object({
  key: z.string().describe('Empty: work without a key'),
  waiting: count,
  delayed: count.describe('How many of these are for later'),
  running: count,
  startedLastHour: count.describe('How many of its runs have started within the last hour'),
  deadLetters: count,
  oldestAt: at.nullable().describe('When the first of what waits was enqueued'),
  perKey: count.nullable().describe('What somebody has set'),
  weight: z.number(),
  setBy: z.string().nullable().describe('Who has set something of it last'),
  setAt: at.nullable(),
  reason: z.string().nullable(),
  paused: z
    .object({
      at,
      by: z.string(),
      reason: z.string().nullable(),
      until: at.nullable().describe('Null: until somebody resumes it'),
    })
    .nullable(),
  parkedUntil: at
    .nullable()
    .describe('Nothing of it starts before then, since a service has refused'),
  parkReason: z.string().nullable(),
})

export type ConsoleLimit = z.output<typeof limitsSchema>['limits'][number]
export const limitsSchema = z.object({
  limits: z.array(
    z.object({
      name: z.string().describe('The job whose own it is, or the name of a shared limit'),
      jobs: z
        .array(z.string())
        .nullable()
        .describe('The jobs that share it; null: it is a job’s own'),
      global: count.nullable().describe('Runs at once, as the code says; null: any number'),
      setGlobal: count.nullable().describe('What somebody has set instead'),
      setBy: z.string().nullable(),
      setReason: z.string().nullable(),
      setAt: at.nullable(),
      ...keyRules,
      running: count,
      runs: slotHolders.describe('Who holds the slots now, the first started first: 20 at most'),
      parkedUntil: at
        .nullable()
        .describe('Nothing starts before then, since a service has refused'),
      parkReason: z.string().nullable(),
    }),
  ),
})

export type ConsoleKeys = z.output<typeof keysSchema>
export const keysSchema = z.object({
  keys: z.array(listedKey),
  total: count.describe('How many keys there are, of what was counted'),
  counted: count.describe('How many pieces were counted: what workers take first'),
  isCut: z.boolean().describe('Whether more wait: the counts are then at least so many'),
  startedLastHour: count.describe('How many runs of the job have started within the last hour'),
  areStartsCut: z
    .boolean()
    .describe('Whether more have: of the latest so many the keys are counted'),
})

/** GET /api/jobs/:name/key */
export type ConsoleKey = z.output<typeof keySchema>
export const keySchema = z.object({
  ...listedKey.shape,
  isCut: z.boolean().describe('Whether more wait than were counted'),
  runs: slotHolders.describe('Its runs under way, the first started first: 20 at most'),
  ofAllStarted: count.describe('How many runs of the job have started within the last hour'),
  areStartsCut: z
    .boolean()
    .describe('Whether more have: of the latest so many its own are counted'),
  limit: z
    .object(keyRules)
    .nullable()
    .describe('What the job says of each key; null where no worker has registered keys of it'),
})

export type WorkExplanation = z.output<typeof explanationSchema>
export const explanationSchema = z.object({
  workId: z.guid(),
  name: z.string().nullable().describe('Null where only an act on several jobs tells of it'),
  label: z.string().nullable(),
  key: z.string().nullable().describe('By which its job divides its work; null where it has none'),
  state: z.enum(EXPLAINED_STATES),
  text: z.string().describe('What keeps it most, or what became of it'),
  since: at.nullable().describe('Since when; of waiting work when it was enqueued'),
  runId: z.guid().nullable().describe('Its last run'),
  reasons: z
    .array(
      z.object({
        kind: z.enum(WAIT_REASONS),
        text: z.string(),
        since: at.nullable(),
        until: at.nullable(),
        runs: z
          .array(z.object({ runId: z.guid(), workerId: z.string(), startedAt: at }))
          .describe('The runs that have what it waits for: 20 at most'),
      }),
    )
    .describe('Of waiting work all that keeps it; none: a worker takes it next'),
})

/** One of GET /api/jobs/work. */
export type WaitingWork = z.output<typeof waitingWorkSchema>
export const waitingWorkSchema = z.object({
  workId: z.guid().describe('The id of the work; each of its runs has it as workId'),
  name: z.string(),
  label: z.string().nullable(),
  key: workKey,
  startAfter: at.describe('No worker starts the work before this instant'),
  isDue: z.boolean().describe('Whether startAfter has passed'),
  enqueuedAt: at,
  attempts: z.int().describe('How many attempts were made'),
  priority: z.int().describe('Workers take a higher priority first'),
  hasUniqueKey: z.boolean(),
  expiresAt: at
    .nullable()
    .describe('No worker starts the work after this instant; null when it does not expire'),
})

export type ConsoleWorker = z.output<typeof worker>
const worker = z.object({
  id: z.string(),
  startedAt: at,
  lastSignAt: at,
  liveness: z.enum(['lock', 'heartbeat']),
  isAlive: z.boolean(),
  // It lives but has given no sign for longer than living workers do: it is stopped, or a handler blocks it.
  isSilent: z.boolean(),
  // One for each job of which it runs something.
  lanes: z.array(
    z.object({
      name: z.string(),
      inUse: count,
      // How many it has; null when only the worker knows.
      of: count.nullable(),
      // The run that has been under way for longest.
      oldest: z.object({
        id: z.guid(),
        label: z.string().nullable(),
        startedAt: at,
        progress: progressSchema.nullable(),
      }),
    }),
  ),
})

const share = z.object({ runs: count, failed: count })

/**
 * Runs that started in the last hour and have ended, without those that somebody cancelled, which say nothing about the
 * job.
 */
export type ConsoleFailures = z.output<typeof failures>
const failures = z.object({
  ...share.shape,
  // When the first of them started.
  from: at,
  // Whether the hour had more runs than are counted. The latest are.
  isCut: z.boolean(),
  // The code with which most of them failed, how many did, and the last of these with its message.
  code: z.string(),
  withCode: count,
  lastRunId: z.guid(),
  lastAt: at,
  message: z.string(),
  // How many have started since the last that failed, and succeeded.
  succeededSince: count,
  // A sample of the job's week, until about an hour ago; null when it had no runs.
  usual: share.nullable(),
})

/** Work that could be taken, and waits. */
export type ConsoleBacklog = z.output<typeof backlog>
const backlog = z.object({
  name: z.string(),
  ready: count,
  // Whether there is more: at most 100,000 pieces of all jobs together are counted.
  isCut: z.boolean(),
  // How long ago the oldest could have been taken.
  oldestMs: ms,
  // How many pieces are taken and how many come, a second.
  takenPerSecond: z.number(),
  comingPerSecond: z.number(),
  // Whether as much comes as is taken, as far as so few can tell.
  isEven: z.boolean(),
  // How long it takes at these rates to catch up, or longer when `isCut`; null when it never will.
  caughtUpInMs: ms.nullable(),
  // Somebody has paused its queue: no worker takes its work.
  isPaused: z.boolean(),
  // Workers live, but none of them takes its work.
  isUntaken: z.boolean(),
  // Every slot of its workers is held, and none has come free for far longer than is usual: the run that started first.
  held: z.object({ slots: count, runId: z.guid(), since: at }).nullable(),
})

/** The first run that showed what is wrong; null where that is further back than the judge looks. */
export type ConsoleFirstRun = NonNullable<z.output<typeof firstRun>>
const firstRun = z
  .object({
    runId: z.guid(),
    at,
    // What its worker ran of the product; null when nobody knows.
    version: z.string().nullable(),
    // How many runs of the job had started with this version before, while it was new; null without one, and from 20 on.
    runsBefore: count.nullable(),
  })
  .nullable()

export type ConsoleAttention = z.output<typeof attention>
const attention = z.discriminatedUnion('kind', [
  // A tick is due and was not decided: no worker schedules it.
  z.object({
    kind: z.literal('late'),
    name: z.string(),
    since: at,
    // Of the keyed schedule that has been late for longest; absent where it is the job's own.
    key: z.string().optional(),
  }),
  // Its schema takes the payloads of keyed schedules no more: the one that has been paused for longest, and why.
  z.object({
    kind: z.literal('refused'),
    name: z.string(),
    key: z.string(),
    since: at,
    message: z.string(),
    count,
    isCut: z.boolean(),
  }),
  // Workers live, and none of them has started with its schedule.
  z.object({ kind: z.literal('unscheduled'), name: z.string() }),
  // Each job's longest run under way, when it goes on beyond its time-out.
  z.object({ kind: z.literal('overrunning'), name: z.string(), runId: z.guid(), since: at }),
  // By the runs of its workers its clock is not the database's: by how much for the last (below 0: behind), and when the database saw
  // that start.
  z.object({ kind: z.literal('clock'), host: z.string(), aheadMs: ms, lastAt: at }),
  // Work that waits for far longer than is usual for its job holds a unique key. `by`: who has postponed it, or else enqueued it, if known.
  // How many pieces of the job do so.
  z.object({
    kind: z.literal('heldKey'),
    name: z.string(),
    workId: z.guid(),
    label: z.string().nullable(),
    uniqueKey: z.string(),
    until: at,
    since: at,
    isPostponed: z.boolean(),
    by: z.string().nullable(),
    count,
  }),
  // More runs go on than a limit allows: of the job, or where `name` is empty of the jobs that share `limit`; of a key, or in all.
  z.object({
    kind: z.literal('limitExceeded'),
    name: z.string(),
    limit: z.string().nullable(),
    key: z.string().nullable(),
    running: count,
    most: count,
  }),
  // Work of a `fifo` key waits behind a dead letter, since when that was given up. How many keys of the job do so; this has most. `isCut`: there is more.
  z.object({
    kind: z.literal('keyBlocked'),
    name: z.string(),
    key: z.string(),
    workId: z.guid(),
    code: z.string(),
    since: at,
    waiting: count,
    isCut: z.boolean(),
    count,
  }),
  // Nearly all connections of the database server are used: `97 of 100 …, most by roundsman (42), shop api (31)`.
  z.object({ kind: z.literal('connections'), used: count, most: count, problem: z.string() }),
  // Many of its runs of the last hour were not started in time. `isCut`: the latest 5,000 are counted. `since`: null where nobody knows.
  z.object({
    kind: z.literal('expired'),
    name: z.string(),
    expired: count,
    runs: count,
    isCut: z.boolean(),
    since: at.nullable(),
    // A sample of the job's week, of which `failed` is what expired.
    usual: share.nullable(),
  }),
  // Its queue is paused for more than a day, or due work has waited for an hour of that. `waiting`: what is due.
  z.object({
    kind: z.literal('pausedQueue'),
    name: z.string(),
    since: at,
    by: z.string(),
    reason: z.string().nullable(),
    waiting: count,
    // Whether there is more: at most 100,000 pieces of all jobs together are counted.
    isCut: z.boolean(),
  }),
  // It succeeds, and counts nothing in so many runs in a row that it is hardly luck; what it counted before, in the middle.
  z.object({
    kind: z.literal('idle'),
    name: z.string(),
    runs: count,
    // Whether there are more: the last 60 are counted.
    isCut: z.boolean(),
    usual: z.number(),
    first: firstRun,
  }),
  // What half of the last hour's runs took or more, and what half of them take usually.
  z.object({
    kind: z.literal('slower'),
    name: z.string(),
    runs: count,
    p50Ms: ms,
    usualMs: ms,
    first: firstRun,
  }),
  // A worker of another version has changed its schedule within the day, as `0 8 * * * in UTC, before: 0 7 * * * in UTC`.
  z.object({
    kind: z.literal('rescheduled'),
    name: z.string(),
    since: at,
    by: z.string(),
    change: z.string(),
  }),
  // A run under way of a job, when it takes longer than nearly all of its runs before, or more than half its time-out.
  z.object({
    kind: z.literal('slow'),
    name: z.string(),
    runId: z.guid(),
    since: at,
    usualMs: ms.nullable(),
  }),
  // Workers have died while they ran this work, which waits, or runs again (`nextAt` null).
  z.object({
    kind: z.literal('poison'),
    name: z.string(),
    workId: z.guid(),
    label: z.string().nullable(),
    losses: count,
    since: at,
    // The last run that lost its worker.
    runId: z.guid(),
    nextAt: at.nullable(),
    // Whether there may be more such work, which has lost no more.
    isCut: z.boolean(),
    // How many pieces of the job have done so within seven days; null where the record does not go back so far.
    inWeek: count.nullable(),
    first: firstRun,
  }),
  // Many of its runs fail, or the last one that ended failed. A cancelled run counts neither way.
  z.object({
    kind: z.literal('failing'),
    name: z.string(),
    // The last run that failed with the code.
    runId: z.guid(),
    since: at,
    code: z.string(),
    message: z.string(),
    // Those of the last hour; null when the last run failed before.
    recent: failures.nullable(),
    // The one host on which all of these failed, beside others on which none did; else null.
    onHost: z.object({ host: z.string(), others: z.array(z.string()) }).nullable(),
    // What nearly all of these failures have in common, the label or the value of a field that the job shows, and others that run well have not.
    ofGroup: z
      .object({ field: z.string().nullable(), value: z.string(), failed: count, of: count })
      .nullable(),
    // The job's last run, when it failed with another code: what is wrong now, and was not for most of the hour.
    latest: z.object({ runId: z.guid(), code: z.string(), message: z.string() }).nullable(),
    first: firstRun,
  }),
  // Many of its runs failed within the hour, and since then so many in a row have succeeded that it is hardly luck.
  z.object({
    kind: z.literal('recovered'),
    name: z.string(),
    runId: z.guid(),
    since: at,
    code: z.string(),
    message: z.string(),
    recent: failures,
  }),
  // Its guard blocked it and nobody has approved it, which is possible until then.
  z.object({
    kind: z.literal('blocked'),
    name: z.string(),
    runId: z.guid(),
    since: at,
    due: z.number(),
    approvableUntil: at,
  }),
  // More comes than is taken, or catching up takes hours; and this for more than a minute.
  z.object({
    kind: z.literal('backlog'),
    ...backlog.shape,
    // What more than half of it is: the key, the label, or the value of a field that the job shows. `isCut`: of the first ones `looked` at.
    main: z
      .object({
        by: z.enum(GROUPED_BY),
        field: z.string().nullable(),
        value: z.string(),
        percent: count,
        looked: count,
        isCut: z.boolean(),
      })
      .nullable(),
  }),
  // Work of a job waits that neither the catalogue nor a living worker knows. `isCut`: there may be more.
  // Since when the longest waiting piece has been due, and the job's last run, with its version: null where there is none.
  z.object({
    kind: z.literal('orphaned'),
    name: z.string(),
    waiting: count,
    isCut: z.boolean(),
    since: at.nullable(),
    lastRunAt: at.nullable(),
    version: z.string().nullable(),
    // How many of its runs started within seven days, up to 10,000; null where the record does not go back so far.
    runsInWeek: count.nullable(),
  }),
  z.object({
    kind: z.literal('deadLetter'),
    name: z.string(),
    count,
    // Whether there are more: of each job an equal part of the latest 10,000 is counted.
    isCut: z.boolean(),
    // When the first was given up; null where there may be older ones than those counted.
    since: at.nullable(),
    // The most frequent first.
    causes: z.array(z.object({ code: z.string(), message: z.string(), count })),
  }),
  // It keeps old rows from being removed, such as `pid 4711 (psql, idle in transaction)`. Since when its transaction has been open;
  // null where nobody can tell.
  z.object({
    kind: z.literal('oldSnapshot'),
    holder: z.string(),
    since: at.nullable(),
    transactions: count,
  }),
  // Sessions of the database have waited for seconds at a lock of the holder, such as `pid 4711 (psql, idle in transaction)`.
  // `waiter` has waited longest. When the holder's transaction began; null where this role may not see it.
  z.object({
    kind: z.literal('lockWait'),
    waiter: z.string(),
    waiters: count,
    since: at,
    holder: z.string(),
    holderSince: at.nullable(),
  }),
  // Autovacuum is off, or does not come to a table of the queue.
  z.object({ kind: z.literal('unvacuumed'), problem: z.string(), remedy: z.string() }),
  z.object({ kind: z.literal('silent'), workerId: z.string(), since: at }),
  // When any worker has last given a sign of life; null when none is on record.
  z.object({ kind: z.literal('noWorker'), lastSignAt: at.nullable() }),
])

export type ConsoleVersion = z.output<typeof versionStart>
const versionStart = z.object({ at, version: z.string() })

/** GET /api/console/overview */
export type ConsoleOverview = z.output<typeof overviewSchema>
export const overviewSchema = z.object({
  generatedAt: at,
  workers: z.array(worker),
  attention: z.array(attention),
  // For each job whose work has waited for some seconds, the longest first.
  backlog: z.array(backlog),
  // The next tick of each schedule that is not paused, the soonest first.
  nextTicks: z.array(z.object({ name: z.string(), at, timeZone: z.string() })),
  // The last 24 full hours and the current one, the oldest first.
  hours: z.array(
    z.object({ from: at, success: count, failed: count, stopped: count, running: count }),
  ),
  // Where a version of the workers began within these hours, the oldest first: at most 20, by the latest 1,000 workers.
  versions: z.array(versionStart),
  jobs: z.object({ total: count, scheduled: count, paused: count, late: count }),
})

export type ConsoleTick = z.output<typeof tick>
const tick = z.object({
  scheduledFor: at,
  outcome: z.enum(TICK_OUTCOMES),
  reason: z.string().nullable(),
  // More than 1 when the row stands for several ticks.
  count,
  // The run of its work, once it was enqueued and a worker has taken it.
  run: runBrief.nullable(),
})

/** Nothing of its work is taken until somebody resumes its queue; not to be confused with its schedule. */
const queuePaused = z.object({ at, by: z.string(), reason: z.string().nullable() }).nullable()

/** What the queue holds of a job. */
export type ConsoleQueueJob = z.output<typeof queueJob>
const queueJob = z.object({
  name: z.string(),
  // What is due is counted up to 100,000, and so is the rest.
  waiting: count,
  // Of those, not to be started yet: delayed, or to be retried.
  delayed: count,
  active: count,
  deadLetters: count,
  oldestWaitingAt: at.nullable(),
  queuePaused,
  // Workers live, and none of them takes its work.
  isUntaken: z.boolean(),
  // It is not in the catalogue, and no living worker takes its work.
  isOrphaned: z.boolean(),
})

const scheduleSchema = z.object({
  cron: z.string(),
  timeZone: z.string(),
  missed: z.enum(MISSED_POLICIES),
  overlap: z.enum(OVERLAP_POLICIES),
})

/** One of GET /api/jobs. */
export type ListedJob = z.output<typeof listedJobSchema>
export const listedJobSchema = z.object({
  name: z.string(),
  description: z.string(),
  schedule: scheduleSchema
    .extend({ nextRun: at.nullable().describe('Null while the schedule is paused') })
    .nullable()
    .describe(
      'The schedule that the workers follow; null when the job only runs when it is enqueued',
    ),
  paused: z.object({ at, by: z.string().nullable(), reason: z.string().nullable() }).nullable(),
  lastRun: runBrief.omit({ outcome: true }).nullable(),
})

export type ConsoleJob = z.output<typeof jobSchema>
const jobSchema = listedJobSchema.extend({
  schedule: scheduleSchema
    .extend({
      // In words: `At 03:00`.
      words: z.string(),
      catchUpMs: ms,
      // Null while it is paused.
      nextAt: at.nullable(),
      lateMs: ms.nullable(),
    })
    .nullable(),
  queuePaused,
  guard: z
    .object({
      maxRows: z.number().nullable(),
      maxShare: z.number().nullable(),
      minRows: z.number().nullable(),
    })
    .nullable(),
  timeoutMs: ms,
  retry: z.object({ limit: count, delayMs: ms, maxDelayMs: ms }),
  // How many runs at once in one worker; null when only the worker knows.
  concurrency: count.nullable(),
  // Whether at most one runs in all workers together.
  isExclusive: z.boolean(),
  // Over all workers together, and of one key; null: no such limit.
  globalConcurrency: count.nullable(),
  concurrencyPerKey: count.nullable(),
  // In which order keys get their turn; null: its work has none.
  keyOrder: z.enum(KEY_ORDERS).nullable(),
  // The names of those that it shares with other jobs.
  limits: z.array(z.string()),
  rateLimit: z.object({ limit: count, perMs: ms, by: z.enum(['job', 'key']) }).nullable(),
  lastRun: runBrief.nullable(),
  // The last 60 ticks with their outcomes, the oldest first. Empty for a job without a schedule.
  ticks: z.array(tick),
  // The last 60 runs that ended, without dry runs, the oldest first.
  recentRuns: z.array(runBrief.extend({ durationMs: ms, cleaned: z.number().nullable() })),
  // Whether it can't run without a payload.
  takesPayload: z.boolean(),
  // Those of the last hour; null when none failed.
  failures: failures.nullable(),
  // A sample of the week, until about an hour ago; null when it had no runs.
  usual: share.nullable(),
  // Whether so many fail that the overview lists it under what needs attention, and it has not recovered.
  isFailing: z.boolean(),
  // What half of the last hour's runs took or more, and what half of them take usually; null unless it takes far longer now.
  slower: z.object({ p50Ms: ms, usualMs: ms }).nullable(),
})

/** GET /api/console/jobs */
export type ConsoleJobs = z.output<typeof jobsSchema>
export const jobsSchema = z.object({ jobs: z.array(jobSchema) })

/** A span's runs: how many ended how, and how long they took, if any has ended. */
const spanOfRuns = {
  success: count,
  failed: count,
  // Cancelled, blocked by their guard, expired, or given back by their worker.
  stopped: count,
  p50Ms: ms.nullable(),
  p95Ms: ms.nullable(),
}

export type ConsoleRunPoint = z.output<typeof runPoint>
const runPoint = runSchema
  .pick({ id: true, label: true, outcome: true, errorCode: true, startedAt: true })
  .extend({ status: z.enum(['success', 'failed']), durationMs: ms })

const upcomingTick = z.object({
  at,
  local: z.string().describe('What the clocks of the schedule’s zone show then'),
  offset: z.string().describe('How far they are ahead of UTC, such as +01:00'),
  mark: z
    .enum(['afterGap', 'repeatedHour'])
    .nullable()
    .describe('How a change of the clocks touches it; null when none does'),
})

/** One of GET /api/jobs/:name/schedules/:key/ticks */
export type KeyedTick = z.output<typeof keyedTickSchema>
const keyedTickSchema = z.object({
  scheduledFor: at,
  outcome: z.enum(TICK_OUTCOMES),
  reason: z.string().nullable(),
  count: count.describe('How many ticks this row stands for'),
  through: at.nullable().describe('The last tick of a row that stands for several; else null'),
  version: count.describe('The version of the schedule by which it was decided'),
  run: runBrief
    .nullable()
    .describe('The last attempt at its work; null when it has none, or no worker has taken it'),
})

/** GET /api/jobs/:name/schedules/:key/ticks */
export type KeyedTicks = z.output<typeof keyedTicksSchema>
export const keyedTicksSchema = z.object({
  ticks: z.array(keyedTickSchema),
  nextCursor: nextPageCursor,
})

/** One of GET /api/jobs/:name/schedules */
export type KeyedSchedule = z.output<typeof keyedScheduleSchema>
const keyedScheduleSchema = z.object({
  name: z.string(),
  key: z.string(),
  version: count.describe('Raised by each change of what it says'),
  cron: z.string(),
  words: z.string().describe('The cron expression in words, such as At 09:00, only on Monday'),
  timeZone: z.string(),
  missed: z.enum(MISSED_POLICIES),
  catchUpMs: ms,
  overlap: z.enum(KEYED_OVERLAPS),
  jitterMs: ms,
  startsAt: at.nullable(),
  endsAt: at.nullable(),
  nextAt: at
    .nullable()
    .describe('Its next tick, due or not; null when there is none before its end'),
  isLate: z.boolean().describe('A tick has been due for minutes, and no worker has decided it'),
  isRefused: z.boolean().describe('Paused because the job no longer takes its payload'),
  paused: z
    .object({ at, by: z.string().nullable(), reason: z.string().nullable() })
    .nullable()
    .describe('Its ticks are skipped until somebody resumes it'),
  createdAt: at,
  updatedAt: at,
  lastTick: keyedTickSchema.nullable(),
})

/** GET /api/jobs/:name/schedules */
export type KeyedSchedules = z.output<typeof keyedSchedulesSchema>
export const keyedSchedulesSchema = z.object({
  schedules: z.array(keyedScheduleSchema),
  total: z
    .object({ count, isCut: z.boolean() })
    .describe('How many the job has, whatever was asked for; up to 10,000'),
  nextCursor: nextPageCursor,
})

/** GET /api/jobs/:name/schedules/:key */
export type KeyedScheduleDetail = z.output<typeof keyedScheduleDetailSchema>
export const keyedScheduleDetailSchema = z.object({
  schedule: keyedScheduleSchema.nullable().describe('Null when it was deleted'),
  upcoming: z.array(upcomingTick).describe('Its next ten runs; empty while it is paused'),
  actions: z
    .array(actionSchema)
    .describe('Changes and other activity, the latest first; at most 50'),
})

/** GET /api/console/schedules/preview */
export type SchedulePreview = z.output<typeof schedulePreviewSchema>
export const schedulePreviewSchema = z.object({
  words: z.string(),
  timeZone: z.string(),
  upcoming: z.array(upcomingTick),
})

/** GET /api/console/jobs/:name */
export type ConsoleJobDetail = z.output<typeof jobDetailSchema>
export const jobDetailSchema = z.object({
  job: jobSchema,
  queue: queueJob,
  // Those of the last 365 days that had runs, by UTC date.
  days: z.array(z.object({ date: z.iso.date(), ...spanOfRuns })),
  // Their hours, while no day is older than two days ago; empty otherwise.
  hours: z.array(z.object({ from: at, ...spanOfRuns })),
  // Null unless some of those before this instant are left out: the latest 50,000 are counted.
  cutBefore: at.nullable(),
  // Runs that ended within these hours, or within the last 60 days; when they are many, some from each part of that time.
  sample: z.object({ runs: z.array(runPoint), isPart: z.boolean() }),
  // Where the version of its workers changed within that time, by their first runs of the job, the oldest first: at most 20, among the
  // latest 20,000 runs.
  versions: z.array(versionStart),
  // Those of the last 60 ended runs that counted something, with their counts, the oldest first.
  counted: z.array(
    z.object({
      id: z.guid(),
      status: z.enum(['success', 'failed']),
      startedAt: at,
      counts: z.record(z.string(), z.number()),
      // How many due rows it has passed over, such as `111` or `over 10,000`; null where it says nothing of that.
      stillDue: z.string().nullable(),
    }),
  ),
  // Who changed its schedule last, when, and how, as in `At 08:00`; null where nobody is known to have. `before` is null where the
  // record cannot be read.
  scheduleChange: z
    .object({ at, by: z.string(), to: z.string(), before: z.string().nullable() })
    .nullable(),
  // Over the last 1,000 runs that ended.
  duration: z.object({ p50Ms: ms.nullable(), p95Ms: ms.nullable(), runs: count }),
  // The ticks of the next 30 days, at most 1,000; `isCut` when there are more.
  upcoming: z.array(upcomingTick),
  isCut: z.boolean(),
  // Activity about it, the latest first; at most 20.
  actions: z.array(actionSchema),
  // How many schedules programs and people keep for it, beside its own; up to 10,000.
  schedules: z.object({ count, isCut: z.boolean() }),
})

/** GET /api/console/queue */
export type ConsoleQueue = z.output<typeof queueSchema>
export const queueSchema = z.object({
  generatedAt: at,
  // Those of the catalogue, then others that have left work, dead letters or a pause behind.
  jobs: z.array(
    queueJob.extend({
      // How fast what is due is taken; null where none has waited for a few seconds.
      backlog: backlog.nullable(),
      // Ended in the last hour.
      completedLastHour: count,
      failedLastHour: count,
      // Not started before they expired.
      expiredLastHour: count,
    }),
  ),
  // Runs that ended, over the last hour, by the minute in which they started, the oldest first.
  throughput: z.array(z.object({ from: at, success: count, failed: count, stopped: count })),
  // Measured every few seconds of the last hour while this server ran, the oldest first: how much could have been started,
  // and how long the oldest of it had waited.
  history: z.array(z.object({ at, ready: count, oldestMs: ms })),
})

export type ConsoleWorkerIdentity = z.output<typeof workerIdentity>
const workerIdentity = z.object({
  // Host, process, and a part that no restart repeats: `web-1:4711:0a1b2c3d`.
  id: z.string(),
  startedAt: at,
  lastSignAt: at,
  liveness: z.enum(['lock', 'heartbeat']),
  isAlive: z.boolean(),
  // The version of the product that it runs; null when it does not say.
  version: z.string().nullable(),
})

/** GET /api/console/workers: those that live first, then those that were killed within a day. */
export type ConsoleWorkers = z.output<typeof workersSchema>
export const workersSchema = z.object({
  generatedAt: at,
  workers: z.array(
    workerIdentity.extend({
      // By job, the one with the most runs first.
      running: z.array(z.object({ name: z.string(), count, oldestStartedAt: at })),
    }),
  ),
})

export type ConsoleWorkerRun = z.output<typeof workerRun>
const workerRun = runBrief.extend(
  runSchema.pick({ name: true, label: true, errorCode: true, createdAt: true }).shape,
)

/** GET /api/console/workers/:id, with `at` for a worker that has ended: an instant at which it ran something. */
export type ConsoleWorkerDetail = z.output<typeof workerDetailSchema>
export const workerDetailSchema = z.object({
  generatedAt: at,
  // Null for a worker that stopped, or was killed more than a day ago.
  worker: workerIdentity.nullable(),
  // What is kept of such a worker; null where it did not say its version.
  former: z.object({ version: z.string(), startedAt: at, endedAt: at }).nullable(),
  // What it ran between these two instants, the oldest first: some 200 at most, and those under way.
  runs: z.array(workerRun),
  since: at,
  until: at,
})

const runMatch = runSchema.pick({ id: true, name: true, outcome: true, startedAt: true })

/** GET /api/console/search?q=, at most five of each. */
export type ConsoleSearch = z.output<typeof searchSchema>
export const searchSchema = z.object({
  // Labels that begin with the text, of all runs, or contain it, of the latest; each with the last run that has it.
  labels: z.array(z.object({ label: z.string(), run: runMatch })),
  // By name or description.
  jobs: z.array(z.object({ name: z.string(), description: z.string() })),
  // By the beginning of their id, or of their work's.
  runs: z.array(runMatch),
  // By code or text, among the last thousand runs that failed, and by the whole code among all. `isCut`: more than these failed.
  errors: z.array(
    z.object({ code: z.string(), count, isCut: z.boolean(), message: z.string(), lastAt: at }),
  ),
  workers: z.array(z.string()),
  // Whether there are older runs, whose labels and errors were not searched for the text within them.
  isCut: z.boolean(),
})

/**
 * GET /api/jobs/events, as server-sent events. Each carries an id; a client that comes back with Last-Event-ID
 * gets `reset` when something may have been missed, and should then ask for everything again.
 *
 *   event: run      data: {"ids": [...], "names": [...]}   these runs have started, progressed or ended
 *   event: tick     data: {"names": [...]}                 ticks of these jobs were decided
 *   event: reset    data: {}
 *   event: ping     data: {}                               every 10 s, without an id: the connection holds
 */
export interface ConsoleRunEvent {
  ids: string[]
  names: string[]
}

/** GET /api/jobs/runs.csv takes the filters of GET /api/jobs/runs and answers with up to 100,000 lines. */
