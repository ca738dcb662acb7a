import { JobError, type Details, type RunContext } from '@roundsman/engine'
import { checkTarget } from './arguments.ts'
import { queryRows, type Transaction } from './transaction.ts'
import { createFindings } from './createFindings.ts'
import { firstLook, type FirstLook } from './firstLook.ts'
import { indexOrder } from './indexOrder.ts'
import { pageOrder } from './pageOrder.ts'
import type { SweepOrder } from './sweepOrder.ts'
import type { SweepCounts, SweepTarget } from './sweepTarget.ts'
import { empty, quoted, sql, type Sql } from './sql.ts'

export type SweepContext = Pick<
  RunContext<unknown, Transaction>,
  'batch' | 'guard' | 'log' | 'now' | 'run' | 'signal'
>

/** An index that has more dead rows than this is not asked once more at the end, since it has to step over all of them. */
const MAX_DEAD_FOR_LAST_LOOK = 50_000

/** So many rows that a run has passed over are counted. */
const MAX_STILL_DUE = 10_000

/** Larger than the difference between the clocks of any two machines. */
const CLOCK_TOLERANCE_MS = 60_000

/**
 * Cleans what is due in batches: as the indexes list it, or where much is due page by page, and then by the indexes for what
 * moved. It passes over locked rows, which are due again in the next run, and never changes more rows than were counted: what
 * became due since has been neither guarded nor approved.
 * @returns what it has to say beyond the counts: the findings of a dry run; and `stillDue`, how many rows were due at its
 * end, if it has passed over any
 * @throws ArgumentError that names the part of the target
 * @throws JobError `cutoff_invalid` when the cut-off is not in the past
 */
export async function sweep<C extends SweepCounts>(
  { batch, guard, log, now, run, signal }: SweepContext,
  target: SweepTarget<C>,
): Promise<Details> {
  checkTarget(target)
  refuseLaterThan(now(), target)
  const { table, population, due } = target
  let look = null as FirstLook | null
  /** How many rows are due, when the guard had them counted beyond the first look. */
  let counted = null as number | null
  let populationSize = null as number | null
  await guard({
    total: async (tx, upTo) => {
      if (population) return (populationSize ??= await countRows(tx, table, population))
      return upTo === undefined
        ? await estimateRows(tx, table)
        : await countRows(tx, table, sql`true`)
    },
    due: async (tx, limit) => {
      const seen = await takeLook(tx)
      if (seen.isAll || limit <= seen.due) return seen.due
      return (counted ??= await countRows(tx, table, due))
    },
  })

  const findings = run.dryRun ? createFindings(target) : null
  const pace = createPace()
  let orders = null as SweepOrder[] | null
  let cleaned = 0
  let hasPassedOver = run.dryRun
  /** Whether the last batch ran out of time, with rows of its own left. */
  let wasCut = false
  do {
    signal.throwIfAborted()
  } while ((await cleanNext()) && leftRows() > 0)
  return { ...findings?.details(), ...(hasPassedOver && (await stillDue())) }

  async function takeLook(tx: Transaction): Promise<FirstLook> {
    if (look !== null) return look
    const seen = await firstLook(tx, target)
    refuseLaterThan(seen.now, target, CLOCK_TOLERANCE_MS)
    return (look = seen)
  }

  /** How many of the counted rows are left: those that came since are due in the next run. */
  function leftRows(): number {
    return ((look?.isAll ? look.due : counted) ?? Infinity) - cleaned
  }

  /** Changes the rows of one batch. Returns whether there may be more. */
  async function cleanNext(): Promise<boolean> {
    let rows = undefined as Sql | null | undefined
    let limitMs = null as number | null
    // From then on others wait for the batch.
    let lockedAtMs = 0
    let changeMs = 0
    const carryOut = (change: (tx: Transaction, where: Sql) => Promise<C>) =>
      batch(async (tx) => {
        if (rows === undefined) {
          rows = await nextRows(tx)
          // Unlimited after one that was cut, so that each two batches get on, however slowly the rows are found.
          const isLimited = !wasCut && Math.min(pace.rows(), leftRows()) > FIRST_ROWS
          limitMs = isLimited ? LIMIT_MS : null
        }
        lockedAtMs = performance.now()
        const counts = rows === null ? target.nothing : await change(tx, rows)
        changeMs = performance.now() - lockedAtMs
        if (counts.cleaned > leftRows()) throw new TooManyRows()
        return counts
      })
    const { cleaned: changed } = await (findings === null
      ? carryOut((tx, where) => target.change(tx, expectedUnlocked(inTime(where, limitMs)))).catch(
          (error: unknown) => {
            const isTooMany = error instanceof TooManyRows
            if (!isTooMany && !isLockTimeout(error)) throw error
            hasPassedOver ||= !isTooMany
            limitMs = null
            return carryOut((tx, where) =>
              target.change(tx, unlockedRows(target, where, leftRows())),
            )
          },
        )
      : carryOut(rehearse))
    if (rows === null) return false
    log.debug({ rows: changed, lockedMs: performance.now() - lockedAtMs }, 'clean-up batch done')
    cleaned += changed
    // Our clock includes the way to PostgreSQL and back, so that none is overlooked.
    wasCut = limitMs !== null && changeMs >= limitMs
    orders?.[0]?.changed(changed, wasCut)
    pace.changed(changed, changeMs, wasCut)
    return true
  }

  async function nextRows(tx: Transaction): Promise<Sql | null> {
    const seen = await takeLook(tx)
    if (leftRows() <= 0) return null
    orders ??= [
      ...(seen.isAll || seen.pages === 0 ? [] : [pageOrder(target, seen, signal)]),
      indexOrder(target),
    ]
    for (let [order] = orders; order !== undefined; [order] = orders) {
      const rows = await order.next(tx, pace.rows())
      if (rows !== null) return rows
      orders.shift()
      // Rows that this sweep has cleaned are dead in the index.
      if (cleaned > MAX_DEAD_FOR_LAST_LOOK) return null
    }
    return null
  }

  /** A dry run is one transaction, which a failed statement would end: so it passes over locked rows from the start. */
  async function rehearse(tx: Transaction, where: Sql): Promise<C> {
    const rows = unlockedRows(target, where, leftRows())
    await findings?.add(tx, rows)
    return target.change(tx, rows)
  }

  /** How many rows are due now, by a batch that changes nothing: in a dry run, by its transaction. */
  async function stillDue(): Promise<Details> {
    let count = 0
    await batch(async (tx) => {
      count = await countRows(tx, table, due, MAX_STILL_DUE + 1)
      return target.nothing
    })
    if (count === 0) return {}
    const told = count > MAX_STILL_DUE ? `over ${MAX_STILL_DUE.toLocaleString('en')}` : count
    log.warn({ table, stillDue: told }, 'clean-up passed over rows that others had locked')
    return { stillDue: told }
  }
}

function refuseLaterThan(now: Date, { cutoff }: SweepTarget, toleranceMs = 0): void {
  if (cutoff.getTime() <= now.getTime() + toleranceMs) return
  throw new JobError('cutoff_invalid', `The cut-off ${cutoff.toISOString()} lies in the future`, {
    retryable: false,
  })
}

/** A batch holds its locks for as long as it takes. None should hold them for 50 ms, and the commit may take some of it. */
const TARGET_MS = 30
/**
 * After this long a batch changes no further row: the guess of its size was wrong. Well above the aim, since anything that a range of
 * pages has of others is looked at once more after a cut.
 */
const LIMIT_MS = 40
const FIRST_ROWS = 1_000
const MIN_ROWS = 100
const MAX_ROWS = 50_000
/** One batch may be an exception: the number of rows changes by at most this much, either way. */
const MAX_GROWTH = 20
const MAX_SHRINKING = 4

/** Chooses how many rows the next batch should change, by how long the ones before took. */
export function createPace() {
  let rows = FIRST_ROWS
  let isFirst = true

  return {
    rows: () => rows,
    /** `isCut`: it ran out of time before it came to all of its rows. */
    changed(changed: number, changeMs: number, isCut = false): void {
      const isSlow = changeMs > TARGET_MS
      // The first batch also waits for plans and cold pages; the time of a small one says nothing about a large one.
      const saysNothing = (isFirst && isSlow) || (changed < rows / 2 && !isSlow)
      isFirst = false
      if (saysNothing && !isCut) return
      const factor = TARGET_MS / changeMs
      const next = isCut
        ? changed * factor
        : rows * Math.min(MAX_GROWTH, Math.max(1 / MAX_SHRINKING, factor))
      rows = Math.round(Math.min(MAX_ROWS, Math.max(MIN_ROWS, next)))
    },
  }
}

/** A condition that becomes false after this number of milliseconds of the statement. Null: without a limit. */
function inTime(where: Sql, limitMs: number | null): Sql {
  if (limitMs === null) return where
  return sql`
    ${where} and clock_timestamp() < (select statement_timestamp() + ${limitMs}::float8 * interval '1 ms')`
}

/**
 * A condition for a statement that expects none of its rows to be locked. When one is, the statement fails within a
 * millisecond, and `isLockTimeout` recognises that.
 */
function expectedUnlocked(where: Sql): Sql {
  // PostgreSQL evaluates this before it looks at any row. A separate statement would be a noticeable part of a short batch.
  //
  // The batch does not wait for the disk: a crash of the server that loses it loses its counts too. The end of the run does
  // wait, and by then every batch before it is on the disk.
  return sql`
    (select set_config('lock_timeout', '1ms', true) || set_config('synchronous_commit', 'off', true)) is not null
    and ${where}`
}

/**
 * A condition that locks the rows and passes over those that others hold locked. Locking each row first takes about as long
 * as deleting it, so this is used only after a lock was met, or more than the `most` rows that a batch may change.
 */
function unlockedRows(target: SweepTarget, where: Sql, most: number): Sql {
  const limit = most === Infinity ? empty : sql`limit ${most}`
  return sql`
    ctid = any(array(select ctid from ${quoted(target.table)} where ${where} ${limit} for update skip locked))`
}

/** Rolls a batch back that has changed more rows than were left of those counted. */
class TooManyRows extends Error {}

async function countRows(
  tx: Transaction,
  table: string,
  where: Sql,
  most = Infinity,
): Promise<number> {
  const limit = most === Infinity ? empty : sql`limit ${most}`
  const [met] = await queryRows<{ count: number }>(
    tx,
    sql`select count(*)::float8 as "count" from (select from ${quoted(table)} where ${where} ${limit}) met`,
  )
  return met?.count ?? 0
}

/** The planner's estimate: the table's size now, times how full the last vacuum or analyze found its pages. */
async function estimateRows(tx: Transaction, table: string): Promise<number> {
  const [plan] = await queryRows<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    tx,
    sql`
    explain (format json) select from ${quoted(table)}`,
  )
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}

/** Whether a statement failed because another session holds a lock that it needs. */
function isLockTimeout(error: unknown): boolean {
  const { code, meta } = (error ?? {}) as LockError
  // pg has the code itself, Prisma 6 in `meta`, and Prisma 7 in the error that its adapter threw.
  const codes = [code, meta?.code, meta?.driverAdapterError?.cause?.originalCode]
  return codes.includes(LOCK_NOT_AVAILABLE)
}

interface LockError {
  code?: unknown
  meta?: { code?: unknown; driverAdapterError?: { cause?: { originalCode?: unknown } } }
}

const LOCK_NOT_AVAILABLE = '55P03'
