import type { Handler, PayloadOf, RunContext } from '../job/handler.ts'
import type { HostClient } from '../job/hostTypes.ts'
import type { Job } from '../job/defineJob.ts'
import type { pruneJobRuns } from '../job/engineJobs.ts'
import { expectLedgerKept } from '../arguments/worker.ts'
import { LONG, type Database } from '../database/database.ts'

/**
 * Retention of the engine's records, in whole days of 24 hours. Each run of `pruneJobRuns` covers the whole database, with the
 * retention of the worker that takes it. If several services share a database, give all of them the same retention, or `false`
 * in all but one.
 */
export interface Retention {
  /** Days to keep successful runs and the tick ledger. Must not be shorter than the longest `catchUpMs`. Default 30. */
  runDays?: number
  /** Days to keep failed runs. Default 90, or `runDays` if that is more. */
  failedDays?: number
  /** Days to keep the actions of people on jobs and runs. Default 365. */
  actionDays?: number
  /**
   * Days to keep the enqueued ticks of keyed schedules, of which there may be very many. The last tick of each schedule stays.
   * Default 7, or `runDays` if that is less.
   */
  keyedTickDays?: number
}

interface Transaction {
  $queryRawUnsafe<Value>(text: string, ...values: unknown[]): Promise<Value>
}

export type Days = Required<Retention>
type Context = RunContext<PayloadOf<typeof pruneJobRuns>, Transaction>

/** The engine's handler of one of its own jobs, and the client for it. */
export interface OwnManner {
  handler: Handler<never, never>
  client: HostClient
}

const DAY_MS = 86_400_000
const BATCH_SIZE = 1_000
/** Maximum for the count of rows that a run has skipped because they were locked. */
const MAX_STILL_DUE = 10_000

/**
 * Creates the handler of `pruneJobRuns`, and the client that it uses.
 * @throws ArgumentError if a schedule's `catchUpMs` is longer than `runDays`
 */
export function openRetention(
  days: Days,
  jobs: readonly Job[],
  database: Pick<Database, 'transaction'>,
): OwnManner {
  expectLedgerKept(days, jobs)
  return { handler: (context: Context) => prune(context, days), client: ownClient(database) }
}

/** The client of the engine's own jobs uses the engine's connections. */
function ownClient(database: Pick<Database, 'transaction'>): HostClient {
  return {
    $transaction: (work) =>
      database.transaction(async (tx) => {
        const own: Transaction = {
          async $queryRawUnsafe<Value>(text: string, ...values: unknown[]) {
            return (await tx.query(text, values)).rows as Value
          },
        }
        return await work(own)
      }, LONG),
  }
}

/** A kind of rows to remove, and the name of their count. */
interface OldRows {
  count: string
  table: string
  /** The column of their age. It has an index if there may be many rows. */
  key: string
  cutoff: string
  /** The condition for deletion. `$1` is the cut-off. */
  where: string
}

/**
 * Removes old rows. Schedules continue from their cursors, so they need no old ticks. A run that has not ended is never
 * removed.
 */
async function prune({ batch, guard, now, signal }: Context, days: Days) {
  const all = oldRowsAt(now(), days)
  const [succeeded, failed, , actions] = all
  /**
   * The rows that are left of those counted by the guard. A long run may end during the prune as an old one, and must not
   * exceed the count.
   */
  let counted = Infinity
  await guard({
    total: async (tx, upTo) =>
      (await countAll(tx, 'JobRun', upTo)) + (await countAll(tx, 'JobTick', upTo)),
    due: async (tx, limit) => (counted = await countOld(tx, all, limit)),
  })
  for (const rows of all) {
    // Each batch continues where the last one ended, so that the remaining rows are read once.
    let position = null as string | null
    do {
      signal.throwIfAborted()
      await batch(async (tx) => {
        const [removed] = await tx.$queryRawUnsafe<{ count: number; last: string | null }[]>(
          removeSql(rows),
          rows.cutoff,
          position,
          Math.min(BATCH_SIZE, counted),
        )
        const { count, last } = removed ?? { count: 0, last: null }
        position = last
        counted -= count
        return { [rows.count]: count }
      })
    } while (position !== null)
  }
  let left = 0
  await batch(async (tx) => {
    left = await countOld(tx, all, MAX_STILL_DUE + 1)
    return {}
  })
  return {
    ...(left > 0 && {
      stillDue: left > MAX_STILL_DUE ? `over ${MAX_STILL_DUE.toLocaleString('en')}` : left,
    }),
    cutoff: succeeded.cutoff,
    failedCutoff: failed.cutoff,
    actionsCutoff: actions.cutoff,
  }
}

/** Condition for runs under way. A run that a claim lists must stay, even if JobRun has its end. */
const IS_LISTED = `in (select unnest("runIds") from "JobClaim")`

/** Work that waits in a step keeps its runs, which are the record of its steps. A dead letter may be retried. */
const isOverSql = (
  workId: string,
) => `not exists (select from "JobWork" work where work."id" = ${workId})
  and not exists (select from "JobDeadLetter" letter where letter."id" = ${workId})
  and ${workId} not in (select coalesce(held."workId", held."runId") from "JobClaim" claim
    cross join unnest(claim."runIds", claim."workIds") as held("runId", "workId"))`

/** The last enqueued tick stays: the page of a monthly schedule shows it. */
const IS_ENQUEUED_NOT_LAST = `"key" <> '' and "outcome" = 'enqueued' and not exists (
  select from "JobSchedule" schedule where schedule."name" = "JobTick"."name" and schedule."key" = "JobTick"."key"
    and schedule."lastAt" = "JobTick"."scheduledFor")`

/**
 * The first worker of a version stays while others of the version are listed: its start decides which version defines
 * schedules.
 */
const IS_NOT_FIRST = `(
  not exists (select from "JobWorker" worker where worker."version" = "JobFormerWorker"."version")
  or exists (
    select from "JobFormerWorker" earlier where earlier."version" = "JobFormerWorker"."version"
      and (earlier."startedAt", earlier."id") < ("JobFormerWorker"."startedAt", "JobFormerWorker"."id")
  ))`

/** The kinds of rows to remove at an instant, each with its cut-off. */
function oldRowsAt(now: Date, { runDays, failedDays, actionDays, keyedTickDays }: Days) {
  const rows = (
    count: string,
    table: string,
    key: string,
    days: number,
    condition = 'true',
  ): OldRows => {
    const cutoff = new Date(now.getTime() - days * DAY_MS).toISOString()
    return { count, table, key, cutoff, where: `${condition} and "${key}" < $1::timestamptz` }
  }
  const isLetGo = `"id" not ${IS_LISTED}`
  // The code of failed runs has an index.
  return [
    rows('succeeded', 'JobRun', 'startedAt', runDays, `"status" = 'success' and ${isLetGo}`),
    rows('failed', 'JobRun', 'startedAt', failedDays, `"errorCode" is not null and ${isLetGo}`),
    rows('ticks', 'JobTick', 'scheduledFor', runDays, `("key" = '' or "outcome" <> 'enqueued')`),
    rows('actions', 'JobAction', 'at', actionDays),
    // Cancellations of ended runs. Usually the end of a run deletes them.
    rows('cancels', 'JobCancel', 'requestedAt', 1, `"runId" not ${IS_LISTED}`),
    rows('ticks', 'JobTick', 'scheduledFor', keyedTickDays, IS_ENQUEUED_NOT_LAST),
    rows(
      'suspended',
      'JobRun',
      'startedAt',
      runDays,
      `"status" = 'suspended' and ${isOverSql('"JobRun"."workId"')}`,
    ),
    // Until then, a second signal with the same id is a duplicate.
    rows('signals', 'JobSignal', 'expiresAt', 0, '"takenBy" is not null'),
    rows('unreadSignals', 'JobSignal', 'expiresAt', 0, '"takenBy" is null'),
    // The version of a run is read here, and failed runs are kept for longer.
    rows('workers', 'JobFormerWorker', 'endedAt', Math.max(runDays, failedDays), IS_NOT_FIRST),
  ] as const
}

/**
 * Removes at most `$3` rows older than `$1`, the oldest first, from the position `$2` on, where the last batch ended. Returns
 * the number of removed rows and the new position. It skips locked rows; the next run of the job finds them again. The last run
 * of a piece of work takes its steps along.
 * Race: packages/engine/test/control/pruneJobRuns.test.ts "never removes a run that a claim still lists, which would count as under way without it"
 */
function removeSql({ table, key, where }: OldRows): string {
  return `
    with removed as (
      delete from "${table}"
      where ctid = any(array(
        select ctid from "${table}"
        where ${where} and "${key}" >= coalesce($2::timestamptz, '-infinity')
        order by "${key}" limit $3::int for update skip locked
      ))
      returning "${key}" as "key"${table === 'JobRun' ? ', "id", coalesce("workId", "id") as "workId"' : ''}
    )${table === 'JobRun' ? STEPS_OF_REMOVED : ''}
    select count(*)::int as "count", max("key")::text as "last" from removed`
}

const STEPS_OF_REMOVED = `, steps as (
      delete from "JobStep" step using (select distinct "workId" from removed) gone
      where step."workId" = gone."workId" and ${isOverSql('step."workId"')} and not exists (
        select from "JobRun" run where run."workId" = step."workId" and run."id" not in (select "id" from removed)
      ) returning step."workId"
    ), children as (
      delete from "JobChild" child using (select distinct "workId" from steps) gone where child."parentId" = gone."workId"
    )`

async function countOld(tx: Transaction, all: readonly OldRows[], limit: number): Promise<number> {
  let count = 0
  for (const { table, where, cutoff } of all)
    count += await countRows(tx, table, where, limit - count, cutoff)
  return count
}

/** Counts rows that meet the condition, up to a limit. */
async function countRows(
  tx: Transaction,
  table: string,
  where: string,
  limit: number,
  ...values: string[]
): Promise<number> {
  if (limit <= 0) return 0
  const [counted] = await tx.$queryRawUnsafe<{ count: number }[]>(
    `select count(*)::float8 as "count" from (select from "${table}" where ${where} limit ${limit}) met`,
    ...values,
  )
  return counted?.count ?? 0
}

/** The number of rows in a table: the planner's estimate, or with `upTo` a count up to that number. */
async function countAll(tx: Transaction, table: string, upTo?: number): Promise<number> {
  if (upTo !== undefined) return countRows(tx, table, 'true', upTo)
  const [plan] = await tx.$queryRawUnsafe<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }[]>(
    `explain (format json) select from "${table}"`,
  )
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}
