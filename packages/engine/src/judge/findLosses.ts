import { jsonInstant, jsonNumber } from '../read/bounded.ts'
import type { JobsReader } from '../read/reader.ts'
import { ENDED_AT } from '../read/countRuns.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { listRefusedSchedules } from '../read/listKeyedSchedules.ts'
import { listLockWaits, listTableLocks } from '../read/listLockWaits.ts'
import type { Found } from './problem.ts'
import { counted, inWords, listed, many, spanSince } from './words.ts'

/** Maximum of the latest blocked runs to read. */
const MAX_BLOCKED = 1_000

/** Finds blocked runs of the last day without an approval: the latest of each job. */
export async function findBlocked(
  reader: JobsReader,
  names: readonly string[],
  now: Date,
): Promise<Found[]> {
  const rows = await reader.rows<{
    name: string
    id: string
    at: string
    due: number
    count: number
  }>({
    text: `
      select * from (
        select distinct on ("name") "name", "id", "at", "due", (count(*) over (partition by "name"))::int as "count" from (
          select "name", "id", ${ENDED_AT} as "at", ${jsonNumber(`"details" #> '{guard,due}'`)} as "due", "startedAt", "dryRun", "approvedAt" from "JobRun"
          where ${equalsInOrder('"errorCode"', `'guard_blocked'`)} and "startedAt" >= $2::timestamptz - interval '1 day'
          order by "errorCode", "startedAt" desc, "id" desc limit ${MAX_BLOCKED}
        ) blocked where "name" = any($1::text[]) and not "dryRun" and "approvedAt" is null and "due" is not null
        order by "name", "startedAt" desc, "id" desc
      ) latest order by "at", "name"`,
    values: [names, now.toISOString()],
  })
  return rows.map(({ name, id: runId, at: since, due, count }) => {
    const leftMs = Date.parse(since) + 86_400_000 - now.getTime()
    return {
      ...{
        kind: 'blocked',
        stage: 'waiting',
        jobs: [name],
        since,
        runId,
        count: due,
        isCut: false,
      },
      text: `A run of ${name} would change ${many(due, 'row')}, more than its guard allows, and waits for an approval.`,
      note: `Somebody may approve it within ${inWords(leftMs)}.${count === 1 ? '' : ` ${many(count - 1, 'other run')} of the job ${count === 2 ? 'waits' : 'wait'} as well.`}`,
      ...{ reach: 1, share: 1, causes: [{ name, code: 'guard_blocked', letters: count }] },
    }
  })
}

/** Maximum of doubts to read. */
const MAX_DOUBTS = 1_000

/** Finds work in doubt, which waits until a person answers whether an effect has happened. */
export async function findInDoubt(reader: JobsReader, now: Date): Promise<Found[]> {
  const rows = await reader.rows<{
    name: string
    step: string
    workId: string
    since: string
    count: number
    isCut: boolean
  }>({
    text: `
      select * from (
        select distinct on (work."name") work."name", step."name" as "step", work."id" as "workId", ${jsonInstant('step."doubtSince"')} as "since",
          (count(*) over (partition by work."name"))::int as "count", count(*) over () = ${MAX_DOUBTS} as "isCut"
        from (
          select * from "JobStep" step
          where "doubtSince" is not null and "error" ->> 'code' = 'in_doubt' limit ${MAX_DOUBTS}
        ) step join "JobWork" work on work."id" = step."workId"
        order by work."name", step."doubtSince"
      ) oldest order by "since" limit ${MAX_LISTED}`,
  })
  return rows.map(({ name, step, workId, since, count, isCut }) => ({
    ...{ kind: 'inDoubt', stage: 'waiting', jobs: [name], workId, since, count, isCut },
    text: `Step ${step} of ${name} may have happened, and its work has waited ${spanSince(since, now)} for somebody to say whether it did.`,
    note: `${count === 1 ? '' : `${many(count, 'effect', isCut)} of the job are in doubt. `}Look at the service that it called, then answer: it did happen, or it did not.`,
    ...{ reach: 0.5, share: 1 },
  }))
}

/** Finds sessions that hold up others, by lock, and those that lock the tables of work. */
export async function findLockWaits(reader: JobsReader, now: Date): Promise<Found[]> {
  const [tables, waits] = await Promise.all([listTableLocks(reader), listLockWaits(reader)])
  const kind = { kind: 'lockWait', jobs: [], isCut: false, share: 1 } as const
  const others = waits.filter(({ holder }) => tables.every((one) => one.holder !== holder))
  return [
    ...tables.map(({ holder, holderSince: since, tables: names }): Found => {
      const begun =
        since === null ? '' : `, in a transaction that began ${spanSince(since, now)} ago`
      return {
        ...{ ...kind, stage: 'stopped', since, count: 1, reach: Infinity },
        text: `${holder} has locked ${listed(names)} against writes${begun}.`,
        note: `Workers can take or end no work meanwhile.${sayEnd(holder)}`,
      }
    }),
    ...others.map(({ waiter, waiters, since, holder, holderSince }): Found => {
      const begun =
        holderSince === null ? '' : ` Its transaction began ${spanSince(holderSince, now)} ago.`
      return {
        ...{ ...kind, stage: 'waiting', since, count: waiters },
        text: `${waiter} has waited ${spanSince(since, now)} for a lock of ${holder}.`,
        note: `${waiters === 1 ? '1 session waits' : `${counted(waiters)} sessions wait`} for it.${begun}${sayEnd(holder)}`,
        // Locks that workers wait for come before locks that wait for workers.
        reach: waiter.includes('(roundsman ') ? Infinity : waiters / 1_000,
      }
    }),
  ]
}

function sayEnd(holder: string): string {
  const pid = /^pid (\d+)/.exec(holder)?.[1]
  return pid === undefined ? '' : ` If nobody needs it, end it with pg_terminate_backend(${pid}).`
}

/** Finds keyed schedules that are paused because their job's schema refuses their payloads. */
export async function findRefused(reader: JobsReader, now: Date): Promise<Found[]> {
  const rows = await listRefusedSchedules(reader)
  return rows.map(({ name, key, since, count, isCut }) => ({
    ...{ kind: 'schedulesRefused', stage: 'waiting', jobs: [name], since, key, count, isCut },
    text: `The schema of ${name} has refused the payload of ${many(count, 'schedule', isCut)}, which ${count === 1 ? 'is' : 'are'} paused for that: ${key} for ${spanSince(since, now)}.`,
    note: 'Write the schedule anew with a payload that fits, or deploy the schema that takes it.',
    ...{ reach: 0.5, share: 1 },
  }))
}

/** A limit that is exceeded although each claim counts. For a limit of keys: the key with the largest excess. */
interface ExceededLimit {
  name: string
  isOwn: boolean
  key: string | null
  running: number
  most: number
}

const MAX_LISTED = 20

export async function findExceeded(reader: JobsReader): Promise<Found[]> {
  const rows = await reader.rows<ExceededLimit>({
    text: `
      select * from (
        select distinct on ("name") "name", "name" like 'job:%' as "isOwn", left("key", 1000) as "key", "running", "most"
        from "JobLimitViolation" order by "name", "key" is not null, "running" - "most" desc, "key"
      ) worst order by "running" - "most" desc, "name" limit ${MAX_LISTED}`,
  })
  return rows.map(({ name: limit, isOwn, key, running, most }) => {
    const what = isOwn ? `The limit of ${limit.slice('job:'.length)}` : `Limit ${limit}`
    return {
      ...{
        kind: 'limitExceeded',
        stage: 'losing',
        jobs: isOwn ? [limit.slice('job:'.length)] : [],
        limit,
      },
      text: `${what}${key === null ? '' : `, key ${key},`} has ${many(running, 'run')} where ${counted(most)} may be.`,
      note: 'This is a defect: please report it. roundsman limits list shows the runs.',
      ...(key !== null && { key }),
      ...{ since: null, count: running, isCut: false, reach: key === null ? 1 : 0.5, share: 1 },
    }
  })
}
