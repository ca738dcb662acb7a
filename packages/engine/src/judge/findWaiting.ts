import type { PausedQueue } from '../read/readQueues.ts'
import type { BlockedKey, StoppedLimit } from './findBlockers.ts'
import type { Backlog } from './measureBacklog.ts'
import type { Found } from './problem.ts'
import { counted, inWords, listed, many, spanSince, waits } from './words.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Work that has waited for less is about to start. */
const LISTED_FROM_MS = 5_000
/** Work that could start is too much once the oldest has waited for so long, and would take so long. */
const MIN_WAIT_MS = 5 * MINUTE_MS
const MAX_CATCH_UP_MS = HOUR_MS
/** Work that waits for a service is told once its oldest has waited for so long. */
const MIN_PARKED_MS = 15 * MINUTE_MS

/** What is known of what keeps work from starting. */
export interface Blockers {
  pauses: ReadonlyMap<string, PausedQueue>
  keys: readonly BlockedKey[]
  limits: readonly StoppedLimit[]
  /** The jobs that no living worker takes, while workers live. */
  untaken: readonly string[]
}

/** Work of a job that waits, with why in words. */
export interface JudgedBacklog extends Backlog {
  /** Such as `paused`, `12 of 19 wait for paused key acme`, `caught up in 47 s`. */
  state: string
  /** None of it starts, and nobody wants that. */
  isStuck: boolean
  isPaused: boolean
  isUntaken: boolean
}

/** Says why each job's work waits, the longest wait first. What has waited for less than five seconds is left out. */
export function describeBacklog(waiting: readonly Backlog[], blockers: Blockers): JudgedBacklog[] {
  return waiting
    .filter(({ oldestMs, due, ready }) => oldestMs >= LISTED_FROM_MS || ready < due)
    .map((row) => {
      const isPaused = blockers.pauses.has(row.name)
      const isUntaken = blockers.untaken.includes(row.name)
      const state = stateOf(row, { ...blockers, isPaused, isUntaken })
      const isStuck = !isPaused && (isUntaken || row.ready === 0 || row.caughtUpInMs === null)
      return { ...row, state, isStuck, isPaused, isUntaken }
    })
}

function stateOf(
  { name, due, ready, isCut, isReadyCut, caughtUpInMs }: Backlog,
  { keys, limits, isPaused, isUntaken }: Blockers & { isPaused: boolean; isUntaken: boolean },
): string {
  if (isPaused) return 'paused'
  if (isUntaken) return 'no worker takes it'
  const limit = limits.find(({ jobs }) => jobs.includes(name))
  if (limit?.parkedUntil != null) return 'waits for a service that has refused more'
  const key = keys.find((one) => one.name === name)
  const held =
    key === undefined
      ? ''
      : `${counted(key.waiting, key.isCut)} of ${counted(Math.max(key.waiting, due), isCut)} wait for ${WHY[key.why]} ${key.key}`
  const rest =
    limit !== undefined
      ? `${nameLimit(limit)} is full`
      : caughtUpInMs === null
        ? 'none starts'
        : `caught up in ${isReadyCut ? 'over ' : ''}${inWords(caughtUpInMs)}`
  return held === '' ? rest : ready === 0 ? held : `${held}; the rest: ${rest}`
}

const WHY = { paused: 'paused key', parked: 'key', deadLetter: 'a dead letter of key' } as const

const nameLimit = ({ name }: StoppedLimit) =>
  name.startsWith('job:') ? 'its limit' : `limit ${name}`

/** Finds queues and keys that hold up work for an hour, services that do for a quarter of one, and pauses of a day. */
export function findPaused(
  backlog: readonly Backlog[],
  { pauses, keys, limits }: Blockers,
  now: Date,
): Found[] {
  const oldestOf = (names: readonly string[]) => backlog.filter(({ name }) => names.includes(name))
  const ageMs = (instant: string) => now.getTime() - Date.parse(instant)
  const queues = [...pauses.values()].flatMap((pause): Found[] => {
    const { name, pausedAt: since, pausedBy, pauseReason } = pause
    const [row = { due: 0, isCut: false, oldestMs: 0 }] = oldestOf([name])
    if (ageMs(since) < DAY_MS && Math.min(ageMs(since), row.oldestMs) < HOUR_MS) return []
    const what = row.due === 0 ? 'no work is due' : waits(row.due, row.isCut)
    return [
      {
        ...{ kind: 'paused', stage: 'waiting', jobs: [name], since },
        text: `${pausedBy} paused the queue of ${name} ${spanSince(since, now)} ago: ${what}.`,
        note: sayReason(pauseReason, 'Resume the queue if the reason is over.'),
        ...{ count: row.due, isCut: row.isCut, reach: 1, share: row.due === 0 ? 0 : 1 },
      },
    ]
  })
  const paused = keys.filter(
    ({ name, why, since, oldestAt }) =>
      why !== 'deadLetter' &&
      !pauses.has(name) &&
      (ageMs(oldestAt) >= (why === 'parked' ? MIN_PARKED_MS : HOUR_MS) || ageMs(since) >= DAY_MS),
  )
  const ofKeys = [...Map.groupBy(paused, ({ name }) => name)].map(([name, its]): Found => {
    const [main] = its as [BlockedKey]
    const [row = { due: 0, isCut: false }] = oldestOf([name])
    const due = Math.max(main.waiting, row.due)
    const all = its.reduce((sum, { waiting }) => sum + waiting, 0)
    const how =
      main.why === 'paused'
        ? `, which ${main.by ?? 'somebody'} paused ${spanSince(main.since, now)} ago`
        : ', since a service has refused more'
    const others =
      its.length === 1
        ? ''
        : ` ${many(its.length - 1, 'other key')} of the job ${its.length === 2 ? 'waits' : 'wait'} as well.`
    return {
      ...{ kind: 'paused', stage: 'waiting', jobs: [name], since: main.since, key: main.key },
      text: `${counted(main.waiting, main.isCut)} of ${many(due, 'piece', row.isCut)} of work of ${name} ${main.waiting === 1 && !main.isCut ? 'waits' : 'wait'} for key ${main.key}${how}.${others}`,
      note: sayReason(
        main.reason,
        main.until === null
          ? 'Resume the key if the reason is over.'
          : `It goes on in ${inWords(Date.parse(main.until) - now.getTime())}.`,
      ),
      ...{ count: all, isCut: main.isCut, reach: 0.5, share: Math.min(1, all / due) },
    }
  })
  const parked = limits.flatMap(({ name, jobs, parkedUntil, parkedAt, reason }): Found[] => {
    const waiting = oldestOf(jobs).filter((row) => row.ready > 0 && !pauses.has(row.name))
    const oldestMs = Math.max(0, ...waiting.map((row) => row.oldestMs))
    if (parkedUntil === null || oldestMs < MIN_PARKED_MS) return []
    const count = waiting.reduce((sum, { ready }) => sum + ready, 0)
    const isCut = waiting.some((row) => row.isReadyCut)
    const names = waiting.map((row) => row.name)
    const whose = name.startsWith('job:') ? '' : ` of limit ${name}`
    return [
      {
        ...{
          kind: 'paused',
          stage: 'waiting',
          jobs: names,
          since: parkedAt,
          limit: name,
          count,
          isCut,
        },
        text: `${listed(names)}: ${waits(count, isCut)} for a service${whose} that has refused more${count === 1 && !isCut ? '' : ', the oldest'} for ${inWords(oldestMs)}.`,
        note: sayReason(
          reason,
          `It goes on in ${inWords(Date.parse(parkedUntil) - now.getTime())}.`,
        ),
        ...{ reach: names.length, share: 1 },
      },
    ]
  })
  return [...queues, ...ofKeys, ...parked]
}

const sayReason = (reason: string | null, what: string) =>
  reason === null ? what : `Reason: ${reason}. ${what}`

/** Says what holds up the work of a job, where nobody is told of that yet. Null: nothing does. */
export function describeHold(name: string, { pauses, keys, limits }: Blockers): string | null {
  const pause = pauses.get(name)
  if (pause !== undefined)
    return `${pause.pausedBy} has paused the queue: work expires until somebody resumes it.`
  if (limits.some(({ jobs, parkedUntil }) => parkedUntil !== null && jobs.includes(name)))
    return 'It waits for a service that has refused more.'
  const key = keys.find((one) => one.name === name)
  return key === undefined
    ? null
    : `${waits(key.waiting, key.isCut)} for ${WHY[key.why]} ${key.key}.`
}

/** Finds the jobs of which work waits behind a dead letter of its key. */
export function findKeyBlocked(
  backlog: readonly Backlog[],
  { keys, pauses }: Blockers,
  now: Date,
): Found[] {
  const blocked = keys.filter(({ why, name }) => why === 'deadLetter' && !pauses.has(name))
  return [...Map.groupBy(blocked, ({ name }) => name)].map(([name, its]): Found => {
    const [main] = its as [BlockedKey]
    const all = its.reduce((sum, { waiting }) => sum + waiting, 0)
    const due = backlog.find((row) => row.name === name)?.due ?? all
    const others =
      its.length === 1
        ? ''
        : ` ${many(its.length - 1, 'other key')} of the job ${its.length === 2 ? 'waits' : 'wait'} like this.`
    return {
      ...{ kind: 'keyBlocked', stage: 'waiting', jobs: [name], since: main.since, key: main.key },
      ...(main.workId !== null && { workId: main.workId }),
      ...(main.code !== null && { code: main.code }),
      text: `${waits(main.waiting, main.isCut)} behind a dead letter of key ${main.key} of ${name}, given up ${spanSince(main.since, now)} ago with ${main.code}.${others}`,
      note: 'The work of a key is done in order: retry the dead letter, or discard it.',
      ...{
        count: its.length,
        isCut: main.isCut,
        reach: 0.5,
        share: Math.min(1, all / Math.max(1, due)),
      },
    }
  })
}

/** Finds work that could start and takes too long. What waits for one shared limit is one problem. */
export function findBehind(
  backlog: readonly JudgedBacklog[],
  { limits }: Blockers,
  { now, wasTold }: { now: Date; wasTold: (name: string) => boolean },
): Found[] {
  const behind = backlog.filter(({ name, ready, oldestMs, caughtUpInMs, isPaused, isUntaken }) => {
    if (isPaused || isUntaken || ready === 0 || oldestMs < MIN_WAIT_MS) return false
    if (limits.some(({ jobs, parkedUntil }) => parkedUntil !== null && jobs.includes(name)))
      return false
    const most = wasTold(name) ? MAX_CATCH_UP_MS / 2 : MAX_CATCH_UP_MS
    return caughtUpInMs === null || caughtUpInMs >= most
  })
  const limitOf = (name: string) =>
    limits.find(({ jobs, parkedUntil }) => parkedUntil === null && jobs.includes(name))
  const groups = Map.groupBy(behind, ({ name }) => limitOf(name)?.name ?? `job:${name}`)
  return [...groups.values()].map((rows): Found => {
    const [main] = rows as [JudgedBacklog]
    const limit = limitOf(main.name)
    const jobs = rows.map(({ name }) => name)
    const count = rows.reduce((sum, { ready }) => sum + ready, 0)
    const isCut = rows.some((row) => row.isReadyCut)
    const since = new Date(now.getTime() - main.oldestMs).toISOString()
    const all = `${listed(jobs)}: ${waits(count, isCut)}${count === 1 ? '' : ', the oldest'} for ${inWords(main.oldestMs)}`
    const held = rows.some((row) => row.isCut)
      ? 0
      : rows.reduce((sum, { due, ready }) => sum + due - ready, 0)
    return {
      ...{ kind: 'backlog', stage: 'waiting', jobs, since, count, isCut },
      ...(limit === undefined
        ? main.oldestRunId !== null && { runId: main.oldestRunId }
        : { limit: limit.name }),
      text:
        limit === undefined
          ? `${all}, and ${sayRate(main, now)}.`
          : `${all}, since ${nameLimit(limit)} is full: ${limit.holder} has ${counted(limit.held)} of its ${many(limit.most ?? 0, 'slot')}.`,
      note:
        [
          limit?.setBy != null &&
            limit.setAt !== null &&
            sayReason(
              limit.setReason,
              `${limit.setBy} set it to ${counted(limit.most ?? 0)} ${spanSince(limit.setAt, now)} ago.`,
            ),
          held > 0 &&
            `${many(held, 'more piece')} of work ${held === 1 ? 'waits' : 'wait'} for blocked keys.`,
        ]
          .filter((part) => part !== false)
          .join(' ') || null,
      ...{ reach: jobs.length, share: 1 },
    }
  })
}

/** Says `at 3.7 a minute it takes 23 h`, or `none has started in the last 5 min; 4 runs are under way, the oldest for 12 min`. */
function sayRate(
  { perSecond, caughtUpInMs, isReadyCut, running, oldestStartedAt }: Backlog,
  now: Date,
): string {
  if (caughtUpInMs !== null) {
    const rate = (perSecond * 60).toLocaleString('en', { maximumSignificantDigits: 2 })
    return `at ${rate} a minute it takes ${isReadyCut ? 'over ' : ''}${inWords(caughtUpInMs)}`
  }
  const started = 'none has started in the last 5 min'
  if (oldestStartedAt === null) return started
  const age = spanSince(oldestStartedAt, now)
  return running === 1
    ? `${started}; 1 run is under way, for ${age}`
    : `${started}; ${counted(running)} runs are under way, the oldest for ${age}`
}
