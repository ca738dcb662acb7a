import {
  CHILD_STATES,
  EXPLAINED_STATES,
  GROUPED_BY,
  JOB_TRIGGERS,
  KEY_ORDERS,
  KEYED_OVERLAPS,
  MISSED_POLICIES,
  OVERLAP_POLICIES,
  PASSED_REASONS,
  PROBLEM_KINDS,
  PROBLEM_STAGES,
  TICK_OUTCOMES,
  type JobTrigger,
  RUN_OUTCOMES,
  RUN_STATUSES,
  WAIT_CAUSES,
  WAIT_REASONS,
} from '@roundsman/engine/internal'
import { z } from 'zod'
import { nextPageCursor } from './http/pageCursor.ts'

/*
 * The console's HTTP routes, here with /api as the prefix that a host may choose. Instants are ISO 8601 in UTC, durations
 * milliseconds. Runs, dead letters, waiting work, ticks (GET /api/jobs/named/:name/ticks) and all actions use the routes that
 * programs use, too. The console imports only types.
 *
 * GET /api/console/access returns the user that the host has identified. A host with sessions for the console (`hasSessions`)
 * logs users in with POST /api/console/session {email, password}: 200 and a session cookie that scripts cannot read, otherwise
 * 401 or 403. GET returns the user (401 without one), DELETE logs out (204). Every request that changes something then sends
 * the session's csrfToken in the header x-csrf-token.
 */

/** The settings that the server writes into the page, as attributes of <meta name="roundsman">. */
export interface ConsoleSettings {
  /** The console's path, such as `/console`. */
  base: string
  /** The API's path, such as `/api`. */
  api: string
  /** Whether the host has sessions for the console. */
  hasSessions: boolean
  /** The log-in page; empty if the console does not know it. */
  loginUrl: string
  /** The address of a trace, with `{traceId}` for its id; empty if the console does not know it. */
  traceUrl: string
}

/** GET and POST /api/console/session */
export interface ConsoleSession {
  user: { id: string; email: string; role: string }
  csrfToken: string
}

export type RunStatus = (typeof RUN_STATUSES)[number]
/** The outcome of a run in people's words: its status, or the reason of its failure. */
export type RunOutcome = (typeof RUN_OUTCOMES)[number]
export type RunTrigger = JobTrigger

const id = z.guid()
const text = z.string()
const textOrNull = text.nullable()
const flag = z.boolean()
const at = z.iso.datetime()
const atOrNull = at.nullable()
const count = z.int()
const countOrNull = count.nullable()
const ms = z.number()
const msOrNull = ms.nullable()

/** GET /api/console/access */
export type ConsoleAccess = z.output<typeof accessSchema>
export const accessSchema = z.object({
  actor: text,
  act: flag.describe('Whether this person may change anything; false may only look'),
  payloads: flag.describe('Whether this person may look at payloads'),
})

/** GET /api/console/environment */
export type ConsoleEnvironment = z.output<typeof environmentSchema>
export const environmentSchema = z.object({
  name: text.describe('The name of the environment, such as production or staging'),
  isProduction: flag,
  version: textOrNull.describe('The version of the product; null when the host names none'),
  database: z
    .object({ host: text, name: text })
    .describe('Where the database is, without user and password; host is empty for a local socket'),
})

export type Progress = z.output<typeof progressSchema>
export const progressSchema = z.object({
  done: z.number(),
  total: z.number().nullable().describe('Null when the run does not know how much there is to do'),
})

/** The parts of a payload that a job shows, by their names. */
export type Shown = z.output<typeof shownSchema>
export const shownSchema = z.record(text, z.union([text, z.number(), flag, z.null()]))

/** POST /api/jobs/bulk */
export type Acted = z.output<typeof actedSchema>
export const actedSchema = z.object({
  done: count,
  passed: z
    .partialRecord(z.enum(PASSED_REASONS), count)
    .describe('How many this call has passed over, by the reason'),
  left: count.describe('How many are left for further calls. 10,000 also stands for more'),
  mark: text.describe('For the next call'),
})

/** Also part of GET /api/jobs/runs/:id, as `actions`, in their order. */
export type ConsoleAction = z.output<typeof actionSchema>
export const actionSchema = z.object({
  at,
  action: text.describe(
    'run, dryRun, pause, resume, cancel, approve, redrive (Retry of a dead letter), discard, pauseQueue, resumeQueue, cancelWork, postponeWork, prioritiseWork, answerDoubt, signal, showPayload (somebody looked), reschedule or backfill',
  ),
  actor: text,
  reason: textOrNull,
  count: count.describe('To how many it was done at once, this one among them'),
})

/** POST /api/jobs/runs/:id/payload, /api/jobs/work/:workId/payload and /api/jobs/work/:workId/steps/payload */
export type HeldPayload = z.output<typeof heldPayloadSchema>
export const heldPayloadSchema = z.object({
  payload: z
    .unknown()
    .describe('Without credentials and e-mail addresses, except in the parts that the job shows'),
})

/** The earlier action of another person, for the error of a later act. */
export type Earlier = NonNullable<z.output<typeof earlierSchema>>
export const earlierSchema = actionSchema.omit({ count: true }).optional()

/** GET /api/console/jobs/:name/payload */
export type ConsolePayload = z.output<typeof payloadSchema>
export const payloadSchema = z.object({
  isNeeded: flag.describe('Whether the job refuses an empty payload'),
  schema: z
    .record(text, z.unknown())
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
      level: text.describe('One of trace, debug, info, warn, error and fatal'),
      message: text,
      fields: textOrNull.describe(
        'The fields of the line, each as name=value; null when it has none',
      ),
    }),
  ),
  earlier: count.describe('How many earlier lines were logged and not kept'),
})

const equalFailuresSchema = z.object({
  count: count.describe('How many runs of the job failed in the same way, this one included'),
  since: at,
  isCut: flag.describe('Whether there may be more: only the latest failures were counted'),
})

const workOfRunSchema = z.object({
  holdsPayload: flag.describe(
    'Whether the queue still holds the payload, so that POST /api/jobs/runs/:id/run-again works',
  ),
  isDeadLetter: flag,
  nextAt: atOrNull.describe(
    'When a worker may start the next attempt; null when the work does not wait',
  ),
  losses: countOrNull.describe(
    'How many workers it has lost, which uses up no retry; from 2 on it runs alone. Null when it neither waits nor is a dead letter',
  ),
})

/** A run as GET /api/jobs/runs lists it. */
export type Run = z.output<typeof runSchema>
export const runSchema = z.object({
  id,
  name: text,
  label: textOrNull.describe(
    'What the run is about, from the job’s label function; null when the job has none',
  ),
  status: z.enum(RUN_STATUSES),
  outcome: z
    .enum(RUN_OUTCOMES)
    .describe(
      'The status, with failed split by its cause: cancelled, blocked, expired, lost, givenBack, or else failed',
    ),
  errorCode: textOrNull.describe('The code in details.error; null unless the run failed'),
  trigger: z.enum(JOB_TRIGGERS),
  attempt: count.describe('1 for the first attempt at its work'),
  scheduledFor: atOrNull.describe(
    'The tick of the schedule that started the run; null when none did',
  ),
  startedAt: at,
  endedAt: atOrNull.describe('Null while the run is running'),
  durationMs: countOrNull.describe('Null while the run is running'),
  details: z
    .unknown()
    .describe(
      'What the run counted and its handler returned, with error when it failed: its code, the class as name, frames as stack, and for people who may see payloads message and causes. Details above 128 kB (1 MB when a single run is asked for) are left out: detailsTooLarge then gives their stored bytes, beside error. Details of more than 100 levels are left out as well, for detailsTooDeep',
    ),
  dryRun: flag,
  actor: textOrNull.describe('The person who requested the run; null when nobody did'),
  reason: textOrNull,
  workId: id.nullable(),
  workerId: text,
  version: textOrNull.describe(
    'The version of the product that its worker ran; null when it is not known: the worker did not say, or somebody removed its record',
  ),
  progress: progressSchema
    .nullable()
    .describe('What the run last reported; it is stored at most once a second'),
  cancelRequestedAt: atOrNull,
  cancelRequestedBy: textOrNull,
  approvedAt: atOrNull.describe('When somebody approved the run, which its guard had blocked'),
  approvedBy: textOrNull,
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
  batches: count.describe('How many batches had been committed by then, this one included'),
  counts: z.record(text, z.number()).describe('The totals that the run had counted by then'),
})

const dueAt = atOrNull.describe(
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
  id,
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
      isApproval: flag.describe('Whether that person approved it, which its guard had blocked'),
      actor: text,
      at,
    })
    .nullable()
    .describe('The run that a person had done again by this one; null when nobody had'),
  children: z
    .array(
      z.object({
        workId: id,
        name: text,
        label: textOrNull,
        run: linkedRunSchema.nullable().describe('Its last run; null when it has not started'),
        startAfter: atOrNull.describe('Not started before then; null when it does not wait'),
      }),
    )
    .describe(
      'The work that its handler has enqueued, and what people had done again: the first 20, as far as it has started or waits',
    ),
  areChildrenCut: flag.describe('Whether there may be more'),
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
  enqueuedAt: atOrNull.describe(
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
    .describe(
      'The last lines that the handler logged; null when it logged none or none are kept, and for people who may not see payloads',
    ),
  equalFailures: equalFailuresSchema
    .nullable()
    .describe(
      'Runs of the job that failed within a day before or after with the same code, class and first frame; null when this one has not failed',
    ),
  lastSuccess: z
    .object({
      id,
      startedAt: at,
      differences: z.array(
        z.object({
          of: text.describe('version, host, key, or payload. and a field that the job shows'),
          was: textOrNull.describe('Null when that run had none'),
          is: textOrNull,
        }),
      ),
    })
    .nullable()
    .describe(
      'The last success of the job before the run, and in what the run differs; null when the run has not failed, or the job had not succeeded',
    ),
  work: workOfRunSchema.describe('What the queue still holds of the work of the run'),
  key: textOrNull.describe(
    'The key of its work, by which its job divides it; null when it had none',
  ),
  uniqueKey: textOrNull.describe(
    'The unique key with which its work was enqueued; null when it had none',
  ),
  enqueuedBy: textOrNull.describe(
    'What enqueued its work, as that calls itself, such as a request; null when it did not say',
  ),
  traceId: textOrNull.describe(
    'The trace in which its work was enqueued, as W3C Trace Context has it; null when none was',
  ),
  links: runLinksSchema,
  timeZone: textOrNull.describe(
    'The time zone of the schedule that named scheduledFor, as it is now; null without one',
  ),
  waits: z
    .array(
      z.object({
        isOfWorker: flag.describe(
          'Whether it is a session of the run’s worker, by its name; else it may be that of another run, or of no run',
        ),
        waiter: text,
        since: at,
        holder: text.describe('Whose lock it waits for: pid 4711 (psql, idle in transaction)'),
        holderSince: atOrNull.describe(
          'Since when the holder’s transaction is open; null when that cannot be seen',
        ),
      }),
    )
    .describe(
      'Sessions that wait for a lock at this moment, at most 5; none unless the run is under way',
    ),
})

const workKey = textOrNull.describe(
  'Its key, by which its job divides its work; empty without one, null where its job has no keys',
)

/** One of GET /api/jobs/dead-letters. */
export type DeadLetter = z.output<typeof deadLetterSchema>
export const deadLetterSchema = z.object({
  workId: id.describe('The id of the work; each of its runs has it as workId'),
  name: text,
  label: textOrNull.describe(
    'What the work is about, from the job’s label function; null when the job has none',
  ),
  key: workKey,
  shown: shownSchema
    .nullable()
    .describe('The fields of the payload that the job lists in show; null when it lists none'),
  attempts: count.describe('How many attempts were made'),
  losses: count.describe(
    'How many workers have died while they ran it; from 2 on it goes back into the queue only with evenIfWorkersDied',
  ),
  enqueuedAt: at,
  failedAt: at,
  error: z.object({
    code: text,
    message: textOrNull.describe('Null for people who may not see payloads'),
  }),
  runId: id.nullable().describe('The last run of this work; null once that run is pruned'),
})

/** One of GET /api/jobs/dead-letters/causes. */
export type DeadLetterCause = z.output<typeof deadLetterCauseSchema>
export const deadLetterCauseSchema = z.object({
  code: text,
  count,
  firstAt: at.describe('When the first dead letter with this code was given up'),
  lastAt: at,
  isCut: flag.describe(
    'Whether there may be more, and older ones: the latest 100,000 dead letters are counted',
  ),
})

/** GET /api/jobs/work/groups and /api/jobs/dead-letters/groups */
export type PieceGroups = z.output<typeof groupsSchema>
export const groupsSchema = z.object({
  looked: count.describe(
    'How many were looked at: up to 10,000, of waiting work what workers take first, of dead letters the latest',
  ),
  isCut: flag.describe('Whether there are more, which the groups do not count'),
  fields: z.array(text).describe('The fields that their jobs show; at most 20'),
  groups: z
    .array(
      z.object({
        by: z.enum(GROUPED_BY),
        field: textOrNull.describe('A field that is shown; null: by key or label'),
        value: text,
        count,
        oldestAt: atOrNull.describe(
          'When the first was enqueued, or given up; null when there are more',
        ),
      }),
    )
    .describe(
      'By key, by label, then by each field; of each the 8 largest. None has a single member',
    ),
})

const slotHolders = z.array(
  z.object({
    runId: id,
    name: text,
    key: textOrNull,
    workerId: text,
    startedAt: at,
  }),
)
const keyRules = {
  perKey: countOrNull,
  order: textOrNull.describe('In which order keys get their turn'),
  rateLimit: countOrNull,
  ratePerMs: z.number().nullable(),
  rateBy: textOrNull,
}
const listedKey = z.object({
  key: text.describe('Empty: work without a key'),
  waiting: count,
  delayed: count.describe('How many of these are for later'),
  running: count,
  startedLastHour: count.describe('How many of its runs have started within the last hour'),
  deadLetters: count,
  oldestAt: atOrNull.describe('When the first of what waits was enqueued'),
  perKey: countOrNull.describe('What somebody has set'),
  setBy: textOrNull.describe('Who has set something of it last'),
  setAt: atOrNull,
  reason: textOrNull,
  paused: z
    .object({
      at,
      by: text,
      reason: textOrNull,
      until: atOrNull.describe('Null: until somebody resumes it'),
    })
    .nullable(),
  parkedUntil: atOrNull.describe('Nothing of it starts before then, since a service has refused'),
  parkReason: textOrNull,
})

export type ConsoleLimit = z.output<typeof limitsSchema>['limits'][number]
export const limitsSchema = z.object({
  limits: z.array(
    z.object({
      name: text.describe('The job whose own it is, or the name of a shared limit'),
      jobs: z.array(text).nullable().describe('The jobs that share it; null: it is a job’s own'),
      global: countOrNull.describe('Runs at once, as in the code; null: any number'),
      setGlobal: countOrNull.describe('What somebody has set instead'),
      setBy: textOrNull,
      setReason: textOrNull,
      setAt: atOrNull,
      ...keyRules,
      running: count,
      runs: slotHolders.describe('Who holds the slots now, the first started first: 20 at most'),
      parkedUntil: atOrNull.describe('Nothing starts before then, since a service has refused'),
      parkReason: textOrNull,
    }),
  ),
})

export type ConsoleKeys = z.output<typeof keysSchema>
export const keysSchema = z.object({
  keys: z.array(listedKey),
  total: count.describe('How many keys there are, of what was counted'),
  counted: count.describe('How many pieces were counted: what workers take first'),
  isCut: flag.describe('Whether more wait: the counts are then at least so many'),
  startedLastHour: count.describe('How many runs of the job have started within the last hour'),
  areStartsCut: flag.describe('Whether more have: of the latest so many the keys are counted'),
})

/** GET /api/jobs/named/:name/key */
export type ConsoleKey = z.output<typeof keySchema>
export const keySchema = z.object({
  ...listedKey.shape,
  isCut: flag.describe('Whether more wait than were counted'),
  runs: slotHolders.describe('Its runs under way, the first started first: 20 at most'),
  ofAllStarted: count.describe('How many runs of the job have started within the last hour'),
  areStartsCut: flag.describe('Whether more have: of the latest so many its own are counted'),
  limit: z
    .object(keyRules)
    .nullable()
    .describe('The limits of each key in the code; null where no worker has registered keys of it'),
})

export type WorkExplanation = z.output<typeof explanationSchema>
export const explanationSchema = z.object({
  workId: id,
  name: textOrNull.describe('Null where only an act on several jobs tells of it'),
  label: textOrNull,
  key: textOrNull.describe('Its key, by which its job divides its work; null without one'),
  state: z.enum(EXPLAINED_STATES),
  text: text.describe('What keeps it most, or what became of it'),
  since: atOrNull.describe('Since when; of waiting work when it was enqueued'),
  runId: id.nullable().describe('Its last run'),
  parent: z
    .object({
      workId: id,
      name: textOrNull.describe('The job of the parent; null where no record of it is left'),
      step: text,
      item: text,
    })
    .nullable()
    .describe('The step of other work that has enqueued it and waits for it'),
  reasons: z
    .array(
      z.object({
        kind: z.enum(WAIT_REASONS),
        text,
        since: atOrNull,
        until: atOrNull,
        runs: z
          .array(z.object({ runId: id, workerId: text, startedAt: at }))
          .describe('The runs that have what it waits for: 20 at most'),
        by: z
          .object({ kind: z.enum(WAIT_CAUSES), name: text })
          .nullable()
          .describe(
            'What keeps it: a job, a shared limit, a key of the job, or other work by its id; null for what has no name',
          ),
      }),
    )
    .describe('Of waiting work all that keeps it; none: a worker takes it next'),
})

const childCounts = {
  job: text,
  count,
  failed: count.describe('How many have failed for good'),
  left: count.describe('How many have not ended'),
}

/** One step of GET /api/jobs/work/:workId/steps. */
export type WorkStep = z.output<typeof workStepSchema>
export const workStepSchema = z.object({
  name: text,
  item: text.describe('Tells calls of one step apart; empty where it is called once'),
  kind: z.enum(['run', 'tx', 'sleep', 'wait', 'map', 'invoke']),
  state: z
    .enum(['done', 'failed', 'waiting', 'inDoubt', 'retrying'])
    .describe(
      '`done` and `failed` do not change. `waiting`: a sleep or a wait that is not over. `inDoubt`: its effect may have happened, and is under way or waits for an answer. `retrying`: it has failed, and is tried again',
    ),
  attempts: count.describe('How often it was called, without calls that ended with their worker'),
  runId: id.describe('The run that wrote it last'),
  startedAt: at,
  endedAt: atOrNull,
  until: atOrNull.describe('When a sleep is over, or a wait times out'),
  signal: textOrNull.describe('The signal that a wait is for; key: the key of that signal'),
  key: textOrNull,
  error: z
    .object({ code: text, message: textOrNull })
    .nullable()
    .describe('Its message is null for people who may not see payloads'),
  hasResult: flag.describe(
    'Whether it has got something other than null: POST /api/jobs/work/:workId/steps/payload shows it',
  ),
  answer: z
    .object({
      at,
      actor: textOrNull.describe('Null where code has sent the signal and named nobody'),
      reason: textOrNull,
      happened: flag.nullable().describe('Whether the effect has happened; null of a signal'),
    })
    .nullable()
    .describe(
      'Who has sent the signal of a wait, or said last whether an effect had happened; null where nobody has',
    ),
  children: z
    .object(childCounts)
    .nullable()
    .describe('The pieces of work that it has enqueued and waits for, or has waited for'),
})

/** GET /api/jobs/work/:workId/steps/children */
export type StepChildren = z.output<typeof stepChildrenSchema>
export const stepChildrenSchema = z.object({
  ...childCounts,
  children: z.array(
    z.object({
      at: count.describe('Its place in the list, from 0'),
      workId: id,
      label: textOrNull,
      state: z.enum(CHILD_STATES).describe('`left`: it has not ended. `failed`: for good'),
      endedAt: atOrNull,
      errorCode: textOrNull,
    }),
  ),
  nextCursor: nextPageCursor,
})

/** GET /api/jobs/work/:workId/steps */
export type WorkSteps = z.output<typeof workStepsSchema>
export const workStepsSchema = z.object({
  state: z.enum(EXPLAINED_STATES).describe('What has become of the work'),
  names: z
    .array(text)
    .describe('The steps of its job as it is now, in their order; empty for a job without steps'),
  steps: z
    .array(workStepSchema)
    .describe('Over all runs of the work: what has ended, in this order, then what is open'),
})

/** One of GET /api/jobs/work. */
export type WaitingWork = z.output<typeof waitingWorkSchema>
export const waitingWorkSchema = z.object({
  workId: id.describe('The id of the work; each of its runs has it as workId'),
  name: text,
  label: textOrNull,
  key: workKey,
  startAfter: at.describe('No worker starts the work before this instant'),
  isDue: flag.describe('Whether startAfter has passed'),
  enqueuedAt: at,
  attempts: count.describe('How many attempts were made'),
  priority: z.int().describe('Workers take a higher priority first'),
  hasUniqueKey: flag,
  expiresAt: atOrNull.describe(
    'No worker starts the work after this instant; null when it does not expire',
  ),
})

export type ConsoleWorker = z.output<typeof worker>
const worker = z.object({
  // Host, process, and a part that no restart repeats: `web-1:4711:0a1b2c3d`.
  id: text,
  startedAt: at,
  lastSignAt: at,
  isAlive: flag,
  // It is alive but has given no sign for longer than usual: it is stopped, or a handler blocks it.
  isSilent: flag,
  // The version of the product that it runs; null if not given.
  version: textOrNull,
  // One for each job of which it runs something.
  lanes: z.array(
    z.object({
      name: text,
      inUse: count,
      // Its number of slots; null if only the worker knows it.
      of: countOrNull,
      // The run that has been under way longest.
      oldest: z.object({
        id,
        label: textOrNull,
        startedAt: at,
        progress: progressSchema.nullable(),
      }),
    }),
  ),
})

/** The class of an error and the first frame, such as `TypeError at send (src/send.ts:3:4)`; empty if unknown. */
const thrown = text

/** Runs of the last hour that succeeded, or failed by their own fault. */
export type ConsoleFailures = z.output<typeof failures>
const failures = z.object({
  runs: count,
  failed: count,
  // The start of the first of them.
  from: at,
  // Whether the hour had more runs than were counted. The latest were counted.
  isCut: flag,
  // The most frequent code of the failures, and its number.
  code: text,
  withCode: count,
})

/** Due work of a job that waits. */
export type ConsoleBacklog = z.output<typeof backlog>
const backlog = z.object({
  name: text,
  due: count,
  // Whether there is more: at most 100,000 pieces of all jobs together are counted.
  isCut: flag,
  // How long the oldest startable work has been due; 0 if there is none.
  oldestMs: ms,
  // The current number of starts per second.
  perSecond: z.number(),
  // The reason why it waits, in words: `paused`, `12 of 19 wait for paused key acme`, `caught up in 47 s`.
  state: text,
  // No piece starts, and no user paused it.
  isStuck: flag,
})

/** A problem with one cause; the engine's `Problem` documents each property. */
export type ConsoleAttention = z.output<typeof attention>
const attention = z.object({
  kind: z.enum(PROBLEM_KINDS),
  stage: z.enum(PROBLEM_STAGES),
  jobs: z.array(text).readonly(),
  text,
  note: textOrNull,
  since: atOrNull,
  runId: id.optional(),
  workId: id.optional(),
  workerId: text.optional(),
  key: text.optional(),
  limit: text.optional(),
  code: text.optional(),
  count,
  isCut: flag,
})

export type ConsoleVersion = z.output<typeof versionStart>
const versionStart = z.object({ at, version: text })

/** GET /api/console/overview */
export type ConsoleOverview = z.output<typeof overviewSchema>
export const overviewSchema = z.object({
  generatedAt: at,
  workers: z.array(worker),
  // The worst first.
  attention: z.array(attention),
  // For each job whose work has waited for some seconds, the longest first.
  backlog: z.array(backlog),
  // The next tick of each schedule that is not paused, the soonest first.
  nextTicks: z.array(z.object({ name: text, at, timeZone: text })),
  // The last 24 full hours and the current one, the oldest first.
  hours: z.array(
    z.object({ from: at, success: count, failed: count, stopped: count, running: count }),
  ),
  // New versions of the workers within these hours, the oldest first: at most 20, by the latest 1,000 workers.
  versions: z.array(versionStart),
  jobs: z.object({ total: count, scheduled: count, paused: count, late: count }),
})

export type ConsoleTick = z.output<typeof tick>
const tick = z.object({
  scheduledFor: at,
  outcome: z.enum(TICK_OUTCOMES),
  reason: textOrNull,
  // More than 1 if the row stands for several ticks.
  count,
  // The run of its work, if it was enqueued and a worker has taken it.
  run: runBrief.nullable(),
})

/** The pause of the queue: no worker takes its work until it is resumed. A pause of the schedule is another property. */
const queuePaused = z.object({ at, by: text, reason: textOrNull }).nullable()

/** The rows of a job in the queue. */
export type ConsoleQueueJob = z.output<typeof queueJob>
const queueJob = z.object({
  name: text,
  // Due work is counted up to 100,000, and so is the rest.
  waiting: count,
  // The part that is not due yet: delayed, or waiting for a retry.
  delayed: count,
  // Whether there is more waiting work.
  isWaitingCut: flag,
  active: count,
  // Up to 100,000.
  deadLetters: count,
  areDeadLettersCut: flag,
  oldestWaitingAt: atOrNull,
  queuePaused,
  // Workers are alive, and none of them takes its work.
  isUntaken: flag,
  // It is not in the catalogue, and no living worker takes its work.
  isOrphaned: flag,
})

const scheduleSchema = z.object({
  cron: text,
  timeZone: text,
  missed: z.enum(MISSED_POLICIES),
  overlap: z.enum(OVERLAP_POLICIES),
})

/** One of GET /api/jobs. */
export type ListedJob = z.output<typeof listedJobSchema>
export const listedJobSchema = z.object({
  name: text,
  description: text,
  schedule: scheduleSchema
    .extend({ nextRun: atOrNull.describe('Null while the schedule is paused') })
    .nullable()
    .describe(
      'The schedule that the workers follow; null when the job only runs when it is enqueued',
    ),
  paused: z.object({ at, by: textOrNull, reason: textOrNull }).nullable(),
  lastRun: runBrief.omit({ outcome: true }).nullable(),
})

export type ConsoleJob = z.output<typeof jobSchema>
const jobSchema = listedJobSchema.extend({
  schedule: scheduleSchema
    .extend({
      // In words: `At 03:00`.
      words: text,
      catchUpMs: ms,
      // Null while it is paused.
      nextAt: atOrNull,
      lateMs: msOrNull,
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
  // Maximum of runs at once in one worker; null if only the worker knows it.
  concurrency: countOrNull,
  // Whether people may request a dry run.
  dryRun: flag,
  // Whether at most one runs at a time over all workers.
  isExclusive: flag,
  // Maximum over all workers, and for one key; null if there is none.
  globalConcurrency: countOrNull,
  concurrencyPerKey: countOrNull,
  // The order in which keys get their turn; null if its work has no keys.
  keyOrder: z.enum(KEY_ORDERS).nullable(),
  // The names of its shared limits.
  limits: z.array(text),
  rateLimit: z.object({ limit: count, perMs: ms, by: z.enum(['job', 'key']) }).nullable(),
  lastRun: runBrief.nullable(),
  // The last 60 ticks with their outcomes, the oldest first. Empty for a job without a schedule.
  ticks: z.array(tick),
  // The last 60 runs that ended, without dry runs, the oldest first.
  recentRuns: z.array(runBrief.extend({ durationMs: ms, cleaned: z.number().nullable() })),
  // Whether it cannot run without a payload.
  takesPayload: flag,
  // The failures of the last hour; null if there were none.
  failures: failures.nullable(),
  // Whether the overview lists its failures under what needs attention.
  isFailing: flag,
})

/** GET /api/console/jobs */
export type ConsoleJobs = z.output<typeof jobsSchema>
export const jobsSchema = z.object({ jobs: z.array(jobSchema) })

/** The runs of a span by outcome. */
const spanOfRuns = {
  success: count,
  failed: count,
  // Cancelled, blocked by their guard, expired, or given back by their worker.
  stopped: count,
}

const upcomingTick = z.object({
  at,
  local: text.describe('What the clocks of the schedule’s zone show then'),
  offset: text.describe('How far they are ahead of UTC, such as +01:00'),
  mark: z
    .enum(['afterGap', 'repeatedHour'])
    .nullable()
    .describe('How a change of the clocks touches it; null when none does'),
})

/** One of GET /api/jobs/named/:name/schedules/:key/ticks */
export type KeyedTick = z.output<typeof keyedTickSchema>
export const keyedTickSchema = z.object({
  scheduledFor: at,
  outcome: z.enum(TICK_OUTCOMES),
  reason: textOrNull,
  count: count.describe('How many ticks this row stands for'),
  through: atOrNull.describe('The last tick of a row that stands for several; else null'),
  version: count.describe('The version of the schedule by which it was decided'),
  run: runBrief
    .nullable()
    .describe('The last attempt at its work; null when it has none, or no worker has taken it'),
})

/** GET /api/jobs/named/:name/schedules/:key/ticks */
export type KeyedTicks = z.output<typeof keyedTicksSchema>
export const keyedTicksSchema = z.object({
  ticks: z.array(keyedTickSchema),
  nextCursor: nextPageCursor,
})

/** One of GET /api/jobs/named/:name/schedules */
export type KeyedSchedule = z.output<typeof keyedScheduleSchema>
const keyedScheduleSchema = z.object({
  name: text,
  key: text,
  version: count.describe('Raised by each change of what it says'),
  cron: text,
  words: text.describe('The cron expression in words, such as At 09:00, only on Monday'),
  timeZone: text,
  missed: z.enum(MISSED_POLICIES),
  catchUpMs: ms,
  overlap: z.enum(KEYED_OVERLAPS),
  jitterMs: ms,
  startsAt: atOrNull,
  endsAt: atOrNull,
  nextAt: atOrNull.describe('Its next tick, due or not; null when there is none before its end'),
  isLate: flag.describe('A tick has been due for minutes, and no worker has decided it'),
  isRefused: flag.describe('Paused because the job no longer takes its payload'),
  paused: z
    .object({ at, by: textOrNull, reason: textOrNull })
    .nullable()
    .describe('Its ticks are skipped until somebody resumes it'),
  createdAt: at,
  updatedAt: at,
  lastTick: keyedTickSchema.nullable(),
})

/** GET /api/jobs/named/:name/schedules */
export type KeyedSchedules = z.output<typeof keyedSchedulesSchema>
export const keyedSchedulesSchema = z.object({
  schedules: z.array(keyedScheduleSchema),
  total: z
    .object({ count, isCut: flag })
    .describe('How many the job has, whatever was asked for; up to 10,000'),
  nextCursor: nextPageCursor,
})

/** GET /api/jobs/named/:name/schedules/:key */
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
  words: text,
  timeZone: text,
  upcoming: z.array(upcomingTick),
})

/** GET /api/console/jobs/:name */
export type ConsoleJobDetail = z.output<typeof jobDetailSchema>
export const jobDetailSchema = z.object({
  job: jobSchema,
  queue: queueJob,
  // The days of the last 60 with runs, by UTC date.
  days: z.array(z.object({ date: z.iso.date(), ...spanOfRuns })),
  // Their hours, while no day is older than two days ago; empty otherwise.
  hours: z.array(z.object({ from: at, ...spanOfRuns })),
  // Null unless some runs before this instant are left out: the latest 50,000 are counted.
  cutBefore: atOrNull,
  // Where the version of its workers changed within these days, by their first runs of the job, the oldest first: at most 20, among the
  // latest 20,000 runs.
  versions: z.array(versionStart),
  // The last 60 ended runs with counts, the oldest first.
  counted: z.array(
    z.object({
      id,
      status: z.enum(['success', 'failed']),
      startedAt: at,
      counts: z.record(text, z.number()),
      // The number of due rows that it has skipped, such as `111` or `over 10,000`; null if not given.
      stillDue: textOrNull,
    }),
  ),
  // The last change of its schedule: the person, the instant and the new schedule, as in `At 08:00`; null if there is none on
  // record. `before` is null if the record cannot be read.
  scheduleChange: z.object({ at, by: text, to: text, before: textOrNull }).nullable(),
  // Over the last 1,000 runs that ended.
  duration: z.object({ p50Ms: msOrNull, p95Ms: msOrNull, runs: count }),
  // The next five ticks, and those of the next 30 days that a change of the clocks affects.
  upcoming: z.array(upcomingTick),
  // Activity about it, the latest first; at most 20.
  actions: z.array(actionSchema),
  // The number of keyed schedules of the job; up to 10,000.
  schedules: z.object({ count, isCut: flag }),
})

/** GET /api/console/queue */
export type ConsoleQueue = z.output<typeof queueSchema>
export const queueSchema = z.object({
  generatedAt: at,
  // The jobs of the catalogue, then others with work, dead letters or a pause.
  jobs: z.array(
    queueJob.extend({
      // The rate at which due work is taken; null if none has waited for a few seconds.
      backlog: backlog.nullable(),
      // Ended in the last hour.
      completedLastHour: count,
      failedLastHour: count,
      // Expired before their start.
      expiredLastHour: count,
    }),
  ),
  // Runs that ended, over the last hour, by the minute in which they started, the oldest first.
  throughput: z.array(z.object({ from: at, success: count, failed: count, stopped: count })),
})

/** GET /api/console/workers: living workers first, then those killed within a day. */
export type ConsoleWorkers = z.output<typeof workersSchema>
export const workersSchema = z.object({
  generatedAt: at,
  workers: z.array(worker),
})

const runMatch = runSchema.pick({ id: true, name: true, outcome: true, startedAt: true })

/** GET /api/console/search?q=, at most five of each. */
export type ConsoleSearch = z.output<typeof searchSchema>
export const searchSchema = z.object({
  // Labels that begin with the text, of all runs, or contain it, of the latest; each with its last run.
  labels: z.array(z.object({ label: text, run: runMatch })),
  // By name or description.
  jobs: z.array(z.object({ name: text, description: text })),
  // By a part of their key.
  schedules: z.array(z.object({ name: text, key: text })),
  // Keys of work, by a part of them.
  keys: z.array(z.object({ name: text, key: text })),
  // Waiting work and dead letters, by the beginning of their id, or a part of label or key.
  work: z.array(
    z.object({ workId: id, name: text, label: textOrNull, key: textOrNull, isDeadLetter: flag }),
  ),
  // By the beginning of their id, or of their work's.
  runs: z.array(runMatch),
  // By code, class and first frame, and for people who may see payloads by message, among the last thousand failed runs; by the
  // whole code among all. `isCut`: there are more.
  errors: z.array(
    z.object({ code: text, count, isCut: flag, thrown, message: textOrNull, lastAt: at }),
  ),
  workers: z.array(text),
  // Whether there are older runs, whose labels and errors were not searched.
  isCut: flag,
})

/**
 * GET /api/jobs/events, as server-sent events. Each has an id. A client that reconnects with Last-Event-ID gets `reset` if it
 * may have missed some, and should then read everything again.
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
