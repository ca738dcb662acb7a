import { checkId } from '../values/argument.ts'
import { pace } from '../job/limits.ts'
import { isAliveSql } from '../database/workerLock.ts'
import { UNDERSTANDS } from '../queue/claimWork.ts'
import { hasNotEnded, LATEST_RUN_FIRST } from '../queue/heldRuns.ts'
import { boundedText, jsonInstant } from './bounded.ts'
import { findLastAction } from './jobActions.ts'
import { HELD_UNDER_LIMITS } from './listLimits.ts'
import type { JobsReader } from './reader.ts'
import { OF_STEP } from '../queue/children.ts'
import { NOT_STARTED } from '../job/runOutcome.ts'

/**
 * What keeps a piece of work waiting, hardest to lift first.
 *   paused      The job's queue is paused.
 *   noWorker    No living worker takes work of the job.
 *   needsLater  Only a later version of the engine understands it.
 *   inDoubt     The effect of a step may have happened, and a person has to answer whether it has.
 *   step        A step of it sleeps, or waits for a signal or for children.
 *   delayed     It was enqueued for later, or postponed.
 *   retry       An attempt has failed, and the next is not due.
 *   exclusive   A run of an exclusive job is under way.
 *   keyPaused   A person has paused its key.
 *   parked      A service has refused more, so its key, its job or a limit waits.
 *   keyHead     Earlier work of its key comes first, and is not over: `fifo`.
 *   limitFull   As many runs under a limit go on as may.
 *   keyFull     As many runs of its key go on as may.
 *   noToken     As many runs have started as may in that time.
 *   slotsFull   Every worker that takes work of the job has as many runs of it as it may.
 *   alone       It has lost workers, so it runs while nothing else does in its process.
 *   behind      Other work of the job starts first.
 */
export type WaitReasonKind = (typeof WAIT_REASONS)[number]
export const WAIT_REASONS = [
  'paused',
  'noWorker',
  'needsLater',
  'inDoubt',
  'step',
  'delayed',
  'retry',
  'exclusive',
  'keyPaused',
  'parked',
  'keyHead',
  'limitFull',
  'keyFull',
  'noToken',
  'slotsFull',
  'alone',
  'behind',
] as const

/** Instants are ISO 8601 in UTC. */
export interface WaitReason {
  kind: WaitReasonKind
  /** In words, without the instants and runs below. */
  text: string
  since: string | null
  until: string | null
  /** The runs that have what it waits for, the first started first: 20 at most. */
  runs: { runId: string; workerId: string; startedAt: string }[]
  /** The cause, if it has a name: a job, a shared limit, a key of the job, or another piece of work by its id. */
  by: { kind: (typeof WAIT_CAUSES)[number]; name: string } | null
}

export const WAIT_CAUSES = ['job', 'limit', 'key', 'work'] as const

export const EXPLAINED_STATES = [
  'waiting',
  'running',
  'completed',
  'failed',
  'deadLetter',
  'cancelled',
  'discarded',
] as const

/** Why a piece of work waits, or what became of it, all as it was at one moment. */
export interface WorkExplanation {
  workId: string
  /** Null where only an act on work of several jobs tells of it. */
  name: string | null
  label: string | null
  /** Its key, by which its job divides its work; null without one. */
  key: string | null
  /** `waiting`, `running`, `completed`, `failed`, `deadLetter`, `cancelled` or `discarded`. */
  state: (typeof EXPLAINED_STATES)[number]
  /** The outcome in words; for waiting work the hardest reason. */
  text: string
  /** Since when; of waiting work when it was enqueued. ISO 8601 in UTC. */
  since: string | null
  /** Its last run that has started. */
  runId: string | null
  /** The step that waits for it, of the work that has enqueued it as a child; `name` is the job of that work, where it is known. */
  parent: { workId: string; name: string | null; step: string; item: string } | null
  /** Of waiting work all that keeps it, what is hardest to lift first. Empty: a worker takes it next. */
  reasons: WaitReason[]
}

/** Counts no more pieces that start before it. */
const MAX_AHEAD = 10_000
const MAX_RUNS = 20
const MAX_OPEN_STEPS = 20

/** The first of the runs that a select finds, as JSON. */
const firstRunsSql = (found: string) => `(
    select jsonb_agg(jsonb_build_object('runId', first."id", 'workerId', ${boundedText('first."workerId"')}, 'startedAt', ${jsonInstant('first."startedAt"')})
      order by first."startedAt", first."id")
    from (${found} order by "startedAt", "id" limit ${MAX_RUNS}) first
  )`

/** Those under way of the claims that meet the condition. */
const runsSql = (where: string) =>
  firstRunsSql(`
      select held."id", claim."workerId", claim."startedAt" from "JobClaim" claim cross join unnest(claim."runIds") held("id")
      where ${where} and ${hasNotEnded('held."id"')}`)

/** Those under limits that meet the condition, of `held`. */
const heldSql = (where: string) => firstRunsSql(`select * from held where ${where}`)

const parkSql = (
  of: string,
) => `case when ${of}."parkedUntil" > clock_timestamp() then jsonb_build_object(
        'until', ${jsonInstant(`${of}."parkedUntil"`)}, 'since', ${jsonInstant(`${of}."parkedAt"`)}, 'reason', ${boundedText(`${of}."parkReason"`)}) end`

const isDry = (work: string) => `coalesce(${work}."facts" -> 'dryRun' = 'true', false)`
const IS_EXCLUDED = `exists (select from "JobClaim" claim where claim."exclusiveKey" = work."name")`

/** The limits that its job is under, with what runs under each and what keeps its key, as JSON. */
const LIMITS = `(
    select jsonb_agg(jsonb_build_object(
      'name', one."name", 'global', coalesce(one."setGlobal", one."global"), 'setBy', case when one."setGlobal" is not null then ${boundedText('one."setBy"')} end,
      'perKey', coalesce(own."perKey", one."perKey"), 'order', one."order",
      'rateLimit', one."rateLimit", 'ratePerMs', one."ratePerMs", 'rateBy', one."rateBy",
      'running', (select count(*) from held where one."name" = any(held."limits")),
      'runs', ${heldSql('one."name" = any(held."limits")')},
      'aheadMs', extract(epoch from throttle."freeAt" - clock_timestamp()) * 1000,
      'keyAheadMs', extract(epoch from own."freeAt" - clock_timestamp()) * 1000,
      'keyRunning', (select count(*) from held where held."name" = work."name" and held."key" = coalesce(work."share", '')),
      'keyRuns', ${heldSql(`held."name" = work."name" and held."key" = coalesce(work."share", '')`)},
      'park', ${parkSql('one')}, 'keyPark', ${parkSql('own')},
      'pausedUntil', case when own."pausedUntil" > clock_timestamp() then ${jsonInstant('own."pausedUntil"')} end,
      'pausedBy', ${boundedText('own."pausedBy"')}, 'pauseReason', ${boundedText('own."pauseReason"')}, 'pausedAt', ${jsonInstant('own."pausedAt"')},
      'headId', (
        select first."id" from (
          (select "id" from "JobWork" other where other."name" = work."name" and other."key" = work."share" order by other."id" limit 1)
          union all
          (select "id" from "JobDeadLetter" other where other."name" = work."name" and other."key" = work."share" order by other."id" limit 1)
        ) first where one."order" = 'fifo' and first."id" < work."id" order by 1 limit 1
      )
    ) order by one."jobs" is null, one."name")
    from "JobLimit" one
      left join "JobKey" own on one."name" = 'job:' || work."name" and work."order" is not null and own."name" = work."name"
        and own."key" = coalesce(work."share", '')
      left join "JobThrottle" throttle on throttle."name" = case when one."jobs" is null then work."name" else 'limit ' || one."name" end
    where one."name" = 'job:' || work."name" or work."name" = any(one."jobs")
  )`

/** The work that starts before it. Unknown across keys, whose shares decide; in a `fifo` key the first piece has the reason. */
const AHEAD = [
  `(work."order" = 'fair' or work."order" = 'fifo' and work."share" is null) and other."key" = coalesce(work."share", '')`,
  `work."order" is not null and work."share" is null and other."key" is null`,
  `work."order" is null`,
]
  .map((isOfKey) => {
    const ofIt = `select from "JobWork" other where other."name" = work."name" and other."needs" <= ${UNDERSTANDS} and ${isOfKey}
        -- A dry run passes by what waits for the run of an exclusive job.
        and (${isDry('other')} or not (${isDry('work')} and ${IS_EXCLUDED}))`
    // Without a place it gets one behind all that has one, and what became due before it.
    const place = 'coalesce(work."place", 9223372036854775807)'
    return `
      ${ofIt} and other."place" is not null and other."losses" < 2 and work."losses" < 2
        and (other."rank", other."place") < (work."rank", ${place})
      union all
      ${ofIt} and other."place" is not null and other."losses" >= 2 and work."losses" >= 2 and other."place" < ${place}
      union all
      ${ofIt} and other."place" is null and other."dueAt" <= now() and (other."losses" >= 2) = (work."losses" >= 2)
        and (other."losses" < 2 and other."rank" < work."rank" or (other."losses" >= 2 or other."rank" = work."rank")
          and work."place" is null and (other."dueAt", other."id") < (work."dueAt", work."id"))`
  })
  .join(' union all ')

const EXPLAIN_SQL = `
  with work as materialized (
    -- A key that work has kept from when its job had keys says nothing.
    select work.*, own."order", case when own."order" is not null then nullif(work."key", '') end as "share"
    from "JobWork" work left join "JobLimit" own on own."name" = 'job:' || work."name" where work."id" = $1::uuid
  ), held as materialized (${HELD_UNDER_LIMITS}
  ), own as materialized (
    select held."runId", claim."name", claim."workerId", claim."startedAt", held."label"
    from "JobClaim" claim cross join unnest(claim."runIds", claim."workIds", claim."labels") held("runId", "workId", "label")
    where coalesce(held."workId", held."runId") = $1::uuid and ${hasNotEnded('held."runId"')} limit 1
  ), run as materialized (
    select run.* from "JobRun" run where run."workId" = $1::uuid order by run."attempt" desc, ${LATEST_RUN_FIRST} limit 1
  ), living as materialized (
    select worker."id", case when jsonb_typeof(worker."lanes" -> work."name") = 'number' then (worker."lanes" ->> work."name")::float8 end as "slots"
    from work cross join "JobWorker" worker where ${isAliveSql('worker."id"')}
  ), taker as materialized (
    select living.*, (
      select count(*) from "JobClaim" claim cross join unnest(claim."runIds", claim."facts") held("id", "facts")
      where claim."workerId" = living."id" and claim."name" = (select "name" from work) and ${hasNotEnded('held."id"')}
    ) as "running"
    from living where living."slots" is not null
  )
  select coalesce(work."name", own."name", letter."name", run."name", action."name") as "name",
         ${boundedText('coalesce(work."label", own."label", letter."label", run."label")')} as "label",
         case when work."id" is not null then 'waiting' when own."runId" is not null then 'running'
              when letter."id" is not null then 'deadLetter' when run."status" = 'success' then 'completed'
              when run."id" is not null then 'failed' end as "state",
         work."enqueuedAt", work."attempt", work."losses", work."dueAt", work."place" is null and work."dueAt" > now() as "isLater",
         work."needs" > ${UNDERSTANDS} as "needsLater", case when run."status" = 'suspended' then (
           select jsonb_agg(to_jsonb(open) order by open."doubtSince" is null, open."until", open."name") from (
             select step."name", step."item", step."signal", step."key", ${jsonInstant('step."until"')} as "until",
               ${jsonInstant('step."doubtSince"')} as "doubtSince", (
                 select jsonb_build_object('count', count(*), 'open', count(*) filter (where child."endedAt" is null), 'job', min(child."job"))
                 from "JobChild" child where ${OF_STEP('step')} having count(*) > 0
               ) as "children"
             from "JobStep" step
             where step."workId" = $1::uuid and step."endedAt" is null and (step."doubtSince" is not null or step."kind" not in ('run', 'tx'))
             order by step."doubtSince" is null, step."until", step."name" limit ${MAX_OPEN_STEPS}
           ) open
         ) end as "openSteps", (
           select jsonb_build_object('workId', child."parentId", 'step', child."step", 'item', child."item", 'name', coalesce(
             (select parent."name" from "JobWork" parent where parent."id" = child."parentId"),
             (select parent."name" from "JobRun" parent where parent."workId" = child."parentId" limit 1)
           )) from "JobChild" child where child."workId" = $1::uuid
         ) as "parent",
         ${boundedText('paused."pausedBy"')} as "pausedBy", ${boundedText('paused."pauseReason"')} as "pauseReason", paused."pausedAt",
         (select count(*)::int from taker) as "takers", (select count(*)::int from living) as "living",
         (select sum("slots")::float8 from taker) as "slots", (select bool_and("running" >= "slots") from taker) as "areFull",
         ${runsSql('claim."workerId" in (select "id" from taker) and claim."name" = work."name"')} as "running",
         not ${isDry('work')} and ${IS_EXCLUDED} as "isExcluded",
         ${runsSql('claim."exclusiveKey" = work."name"')} as "excludedBy",
         (select count(*)::int from (${AHEAD} limit ${MAX_AHEAD + 1}) ahead) as "ahead",
         coalesce(own."runId", run."id")::text as "runId", ${boundedText('own."workerId"')} as "workerId", own."startedAt",
         work."share" as "key", ${LIMITS} as "limits", work."order" is not null and exists (
           select from "JobWork" other where other."name" = work."name" and other."key" is not null and other."key" <> coalesce(work."share", '') and other."place" is not null
         ) as "areOthers",
         run."endedAt", coalesce(letter."errorCode", run."errorCode") as "code", letter."failedAt",
         ${boundedText(`coalesce(letter."errorMessage", run."details" #>> '{error,message}')`)} as "message"
  from (select) one
    left join work on true left join own on true left join run on true
    left join "JobDeadLetter" letter on letter."id" = $1::uuid
    left join "JobQueue" paused on paused."name" = work."name"
    left join lateral (
      select "name" from "JobAction" where "workId" = $1::uuid or "pieces" @> array[$1::uuid] limit 1
    ) action on true`

interface Row {
  name: string | null
  label: string | null
  state: Exclude<WorkExplanation['state'], 'cancelled' | 'discarded'> | null
  enqueuedAt: string
  attempt: number
  losses: number
  dueAt: string
  isLater: boolean
  needsLater: boolean
  /** The step that a suspended run waits for: one in doubt first, then the one that ends first. */
  openSteps: OpenStep[] | null
  parent: WorkExplanation['parent']
  pausedBy: string | null
  pauseReason: string | null
  pausedAt: string | null
  takers: number
  living: number
  slots: number | null
  areFull: boolean | null
  running: WaitReason['runs'] | null
  isExcluded: boolean
  excludedBy: WaitReason['runs'] | null
  ahead: number
  runId: string | null
  workerId: string | null
  startedAt: string | null
  endedAt: string | null
  failedAt: string | null
  code: string | null
  message: string | null
  /** Null: it has none. */
  key: string | null
  limits: LimitOfWork[] | null
  /** Whether work of other keys waits. */
  areOthers: boolean
}

interface OpenStep {
  name: string
  item: string
  signal: string | null
  key: string | null
  children: { count: number; open: number; job: string } | null
  until: string | null
  doubtSince: string | null
}

interface LimitOfWork {
  name: string
  global: number | null
  setBy: string | null
  perKey: number | null
  order: string | null
  rateLimit: number | null
  ratePerMs: number | null
  rateBy: string | null
  running: number
  runs: WaitReason['runs'] | null
  aheadMs: number | null
  keyAheadMs: number | null
  keyRunning: number
  keyRuns: WaitReason['runs'] | null
  park: Park | null
  keyPark: Park | null
  pausedUntil: string | null
  pausedBy: string | null
  pauseReason: string | null
  pausedAt: string | null
  headId: string | null
}

interface Park {
  until: string
  since: string
  reason: string | null
}

/** Explains why a piece of work waits, or how it ended. Null if there is no record of it. */
export async function explainWork(
  reader: JobsReader,
  workId: string,
): Promise<WorkExplanation | null> {
  const id = checkId('workId', workId)
  const [row] = await reader.rows<Row>({ text: EXPLAIN_SQL, values: [id] })
  if (row === undefined) return null
  const { name, label, state, runId, parent } = row
  const of = { workId: id, name, label, key: row.key, runId, parent, reasons: [] }
  switch (state) {
    case 'waiting': {
      const reasons = listReasons(row)
      const next = row.areOthers
        ? 'a worker takes it when it is the turn of its key'
        : 'a worker takes it next'
      const text = reasons[0]?.text ?? next
      return { ...of, state, text, since: row.enqueuedAt, reasons }
    }
    case 'running':
      return { ...of, state, text: `runs in worker ${row.workerId}`, since: row.startedAt }
    case 'completed':
      return { ...of, state, text: 'completed', since: row.endedAt }
    case 'deadLetter': {
      const text = `given up, and a dead letter: ${describeError(row)}`
      return { ...of, state, text, since: row.failedAt }
    }
    case 'failed':
    case null:
      return await explainEnd(reader, of, row)
    default:
      return state satisfies never
  }
}

/** An end by a person has no state: the record of actions has it. */
async function explainEnd(
  reader: JobsReader,
  of: Pick<WorkExplanation, 'workId' | 'name' | 'label' | 'key' | 'runId' | 'parent' | 'reasons'>,
  row: Row,
): Promise<WorkExplanation | null> {
  const act = await findLastAction(reader, { workIds: [of.workId] }, ['cancelWork', 'discard'])
  if (act !== null) {
    const state = act.action === 'discard' ? 'discarded' : 'cancelled'
    const why = act.reason === null ? '' : `: ${act.reason}`
    return { ...of, state, text: `${state} by ${act.actor}${why}`, since: act.at }
  }
  if (row.state === null) return null
  return { ...of, state: row.state, text: `given up: ${describeError(row)}`, since: row.endedAt }
}

/** By its code: messages are for people who may see payloads. The engine alone gives the code `expired`, with its own words. */
function describeError({ code, message }: Row): string {
  const isNotStarted = code === 'expired' && message?.startsWith(NOT_STARTED)
  return String(isNotStarted ? message : code)
}

type AddReason = (kind: WaitReasonKind, text: string, more?: Partial<WaitReason>) => void

/** In the order in which a person would lift them: reasons that end only by an act come first. */
function listReasons(row: Row): WaitReason[] {
  const reasons: WaitReason[] = []
  const add: AddReason = (kind, text, more) =>
    reasons.push({ kind, text, since: null, until: null, runs: [], by: null, ...more })
  const ofJob = { kind: 'job', name: row.name ?? '' } as const
  if (row.pausedAt !== null) {
    const why = row.pauseReason === null ? '' : `: ${row.pauseReason}`
    add('paused', `the queue is paused by ${row.pausedBy}${why}`, {
      since: row.pausedAt,
      by: ofJob,
    })
  }
  if (row.takers === 0) {
    const living = `${row.living} ${row.living === 1 ? 'worker lives' : 'workers live'}`
    add('noWorker', `no living worker takes work of ${row.name} (${living})`)
  }
  if (row.needsLater) add('needsLater', 'only workers of a later version can take it')
  if (row.isLater && row.openSteps !== null) {
    for (const step of row.openSteps) {
      const { doubtSince: since, until } = step
      const which = `step ${step.name}${step.item && ` ${step.item}`}`
      const doubt = `${which} may have happened: somebody has to say whether it has`
      if (since === null) add('step', `${which} ${describeWait(step)}`, { until })
      else add('inDoubt', doubt, { since })
    }
  } else if (row.isLater) {
    const isRetry = row.attempt > 1
    const text = isRetry ? `attempt ${row.attempt} is not due` : 'it is not due'
    add(isRetry ? 'retry' : 'delayed', text, { until: row.dueAt })
  }
  if (row.isExcluded)
    add('exclusive', 'one run at a time, and one is under way', { runs: row.excludedBy ?? [] })
  for (const limit of row.limits ?? []) addReasonsOf(limit, row.key, add)
  reasons.sort((one, other) => WAIT_REASONS.indexOf(one.kind) - WAIT_REASONS.indexOf(other.kind))
  // The run of an exclusive job is already listed.
  const isTold = ({ runId }: { runId: string }) =>
    (row.excludedBy ?? []).some((run) => run.runId === runId)
  if (row.areFull === true && !(row.isExcluded && (row.running ?? []).every(isTold)))
    add('slotsFull', `all ${row.slots} slots of its workers are taken`, {
      runs: row.running ?? [],
    })
  if (row.losses >= 2)
    add('alone', `it has lost ${row.losses} workers, and waits until nothing else runs in one`)
  if (row.ahead > 0) {
    const count = row.ahead > MAX_AHEAD ? `over ${MAX_AHEAD}` : row.ahead
    add('behind', `${count} ${row.ahead === 1 ? 'piece starts' : 'pieces start'} before it`)
  }
  return reasons
}

function describeWait({ signal, key, children }: OpenStep): string {
  if (signal !== null) return `waits for the signal ${signal} of ${key}`
  if (children === null) return 'sleeps'
  const { count, open, job } = children
  return `waits for ${open} of ${count} ${count === 1 ? 'run' : 'runs'} of ${job}`
}

/** A pause that lasts until a person ends it. */
const FOR_EVER = '9999-12-31T00:00:00.000Z'

function addReasonsOf(limit: LimitOfWork, key: string | null, add: AddReason): void {
  const { name, global, perKey, running, keyRunning } = limit
  const own = /^job:(.*)$/.exec(name)?.[1]
  const whose = own === undefined ? `the limit ${name}` : own
  const ofKey = key === null ? 'work without a key' : `its key ${key}`
  const byLimit =
    own === undefined ? ({ kind: 'limit', name } as const) : ({ kind: 'job', name: own } as const)
  const byKey = { kind: 'key', name: key ?? '' } as const
  if (limit.pausedUntil !== null) {
    const why = limit.pauseReason === null ? '' : `: ${limit.pauseReason}`
    add('keyPaused', `${ofKey} is paused by ${limit.pausedBy}${why}`, {
      since: limit.pausedAt,
      until: limit.pausedUntil === FOR_EVER ? null : limit.pausedUntil,
      by: byKey,
    })
  }
  const parks = [
    [limit.park, whose, byLimit],
    [limit.keyPark, ofKey, byKey],
  ] as const
  for (const [park, what, by] of parks) {
    if (park === null) continue
    const why = park.reason === null ? '' : `: ${park.reason}`
    add('parked', `${what} waits${why}`, { since: park.since, until: park.until, by })
  }
  if (limit.headId !== null)
    add('keyHead', `earlier work of its key ${key} comes first: ${limit.headId}`, {
      by: { kind: 'work', name: limit.headId },
    })
  if (global !== null && running >= global) {
    const by = limit.setBy === null ? '' : `, as ${limit.setBy} has set`
    add('limitFull', `all ${global} slots of ${whose} are taken${by}`, {
      runs: limit.runs ?? [],
      by: byLimit,
    })
  }
  const most = limit.order === 'fair' ? perKey : limit.order === 'fifo' && key !== null ? 1 : null
  if (most !== null && keyRunning >= most)
    add('keyFull', `all ${most} slots of ${ofKey} are taken`, {
      runs: limit.keyRuns ?? [],
      by: byKey,
    })
  const isByKey = limit.rateBy === 'key'
  const waitMs = waitForToken(limit, isByKey ? limit.keyAheadMs : limit.aheadMs)
  if (waitMs > 0) {
    const until = new Date(Date.now() + waitMs).toISOString()
    add('noToken', `as many runs of ${isByKey ? ofKey : whose} have started as may`, { until })
  }
}

/** How long until one may start. */
function waitForToken({ rateLimit, ratePerMs }: LimitOfWork, aheadMs: number | null): number {
  if (rateLimit === null || ratePerMs === null || aheadMs === null) return 0
  const { intervalMs, burst } = pace({ limit: rateLimit, perMs: ratePerMs })
  const bounded = Math.min(burst * intervalMs, Math.max(0, aheadMs))
  return Math.max(0, bounded - (burst - 1) * intervalMs)
}
