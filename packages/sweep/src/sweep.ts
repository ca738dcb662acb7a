import { JobError, type Details, type RunContext } from '@roundsman/engine'
import { isPrisma, queryRows, type Transaction } from './transaction.ts'
import { chooseOrder, type ChosenOrder } from './chooseOrder.ts'
import { createFindings } from './createFindings.ts'
import { firstLook, type FirstLook } from './firstLook.ts'
import { indexOrder } from './indexOrder.ts'
import { pageOrder } from './pageOrder.ts'
import type { NextRows, SweepOrder } from './sweepOrder.ts'
import type { SweepCounts, SweepTarget } from './sweepTarget.ts'
import { empty, quoted, sql, type Sql } from './sql.ts'

export type SweepContext = Pick<
  RunContext<unknown, Transaction>,
  'batch' | 'guard' | 'log' | 'now' | 'run' | 'signal'
>

/** A limit keeps PostgreSQL from counting in parallel. Above this many rows, counting all of them in parallel is faster. */
const MAX_COUNT_LIMIT = 100_000

/** Stepping over more dead rows than this in an index takes longer than any batch may. */
const MAX_DEAD_FOR_LAST_LOOK = 50_000

/** So many rows that a run has passed over are counted. */
const MAX_STILL_DUE = 10_000

/** Larger than the difference between the clocks of any two machines. */
const CLOCK_TOLERANCE_MS = 60_000

/**
 * Cleans what is due in batches, in the fastest order for the amount: as the indexes list it, or page by page and then by
 * the indexes for what moved. It passes over locked rows, which are due again in the next run, and never changes more rows
 * than were counted: what became due since has been neither guarded nor approved.
 * @returns what it has to say beyond the counts: the findings of a dry run; and `stillDue`, how many rows were due at its
 * end, if it has passed over any
 * @throws JobError `cutoff_invalid` when the cut-off is not in the past
 */
export async function sweep<C extends SweepCounts>(
  { batch, guard, log, now, run, signal }: SweepContext,
  target: SweepTarget<C>,
): Promise<Details> {
  refuseLaterThan(now(), target)
  let look = null as FirstLook | null
  let hasPassedOver = run.dryRun
  /** How many rows are due, when the guard had them counted beyond the first look. */
  let due = null as number | null
  let populationSize = null as number | null
  await guard({
    total: async (tx, upTo) => {
      const { table, population } = target
      if (population) return (populationSize ??= await countPopulation(tx, population))
      return upTo === undefined
        ? (look?.planned ?? (await estimateRows(tx, table)))
        : await countRows(tx, table, sql`true`, upTo)
    },
    due: async (tx, limit) => {
      look ??= await firstLook(tx, target)
      if (look.isAll || limit <= look.due) return look.due
      return (due ??= await countRows(tx, target.table, target.due))
    },
  })

  let pace = createPace()
  /** Whether the last batch ran out of time, with rows of its own left. */
  let wasCut = false
  const findings = run.dryRun ? createFindings(target) : null
  let chosen: ChosenOrder | null = null
  let order = null as SweepOrder | null
  let cleaned = 0
  /** The commit of the last batch. */
  let committed: Promise<void> = Promise.resolve()
  /** Whether the next batch begins meanwhile. */
  let overlaps = false
  /** The transaction of the next batch, when it has begun before there is work for it. */
  let opened = null as OpenedBatch<C> | null

  try {
    do {
      if (!overlaps) await committed
      signal.throwIfAborted()
    } while (!isAllCleaned() && !order?.isOver() && (await cleanNext()))
    await committed
  } finally {
    await Promise.allSettled([committed, opened?.leave()])
  }
  return { ...findings?.details(), ...(hasPassedOver && (await stillDue())) }

  /** How many rows are due now, by a batch that changes nothing: in a dry run, by its transaction. */
  async function stillDue(): Promise<Details> {
    let count = 0
    await batch(async (tx) => {
      count = await countRows(tx, target.table, target.due, MAX_STILL_DUE + 1)
      return target.nothing
    })
    if (count === 0) return {}
    const told = count > MAX_STILL_DUE ? `over ${MAX_STILL_DUE.toLocaleString('en')}` : count
    log.warn(
      { table: target.table, stillDue: told },
      'clean-up passed over rows that others had locked',
    )
    return { stillDue: told }
  }

  /** Everything counted is cleaned: rows that came since are due in the next run. */
  function isAllCleaned(): boolean {
    // `order` is set by the first batch: a run that finds nothing has one too, so that it reports counts.
    return order !== null && cleaned >= countedRows()
  }

  function countedRows(): number {
    return (look?.isAll ? look.due : due) ?? Infinity
  }

  /** How many of the counted rows are left. */
  function leftRows(): number {
    return countedRows() - cleaned
  }

  /**
   * Changes the rows of one batch, and leaves its counts and its commit under way, so that PostgreSQL need not wait for
   * them. Returns whether there may be more.
   */
  async function cleanNext(): Promise<boolean> {
    const before = committed
    const changed = Promise.withResolvers<boolean>()
    let next: NextRows | null = null
    let cleanedHere: number | null = null
    let limitMs = null as number | null

    const change = async (work: (tx: Transaction, where: Sql) => Promise<C>) => {
      // When the first lock was taken. Only from then on does anybody wait for the batch.
      let lockedAtMs = 0
      let changedAtMs = 0
      const own = opened ?? openBatch(batch)
      opened = null
      const { cleaned: rows } = await own.carryOut(async (tx) => {
        if (next === null) {
          next = await nextRows(tx, before)
          // Unlimited after one that was cut, so that each two batches get on, however slowly the rows are found.
          const isLimited =
            findings === null && !wasCut && Math.min(pace.rows(), leftRows()) > FIRST_ROWS
          limitMs = isLimited ? LIMIT_MS : null
        }
        // PostgreSQL need not wait for the next transaction to begin: it begins while this one changes its rows. Once they were
        // counted, the next batch has its own already.
        if (overlaps && cleanedHere === null && next.kind === 'rows') opened ??= openBatch(batch)
        lockedAtMs = performance.now()
        const counts = next.kind === 'rows' ? await work(tx, next.where) : target.nothing
        changedAtMs = performance.now()
        // The batch before holds the run's row until its commit: this one would wait for it, or fail where it must not.
        await before
        if (next.kind === 'rows') {
          if (counts.cleaned > (cleanedHere ?? leftRows())) throw new TooManyRows()
          const changeMs = changedAtMs - lockedAtMs
          // Our clock includes the way to PostgreSQL and back, so that none is overlooked.
          wasCut = limitMs !== null && changeMs >= limitMs
          if (cleanedHere === null) order?.changed(counts.cleaned, wasCut)
          cleaned += counts.cleaned - (cleanedHere ?? 0)
          cleanedHere = counts.cleaned
          pace.changed(counts.cleaned, changeMs, wasCut)
        }
        changed.resolve(next.kind === 'rows')
        return counts
      })
      if (next?.kind !== 'rows') return
      pace.committed(performance.now() - changedAtMs)
      log.debug({ rows, lockedMs: performance.now() - lockedAtMs }, 'clean-up batch done')
    }

    const commit = async () => {
      if (findings !== null) return change(rehearse)
      try {
        await change((tx, where) => target.change(tx, expectedUnlocked(inTime(where, limitMs))))
      } catch (error) {
        if (next === null || !(error instanceof TooManyRows || isLockTimeout(error))) throw error
        hasPassedOver ||= !(error instanceof TooManyRows)
        // To lock the rows takes about as long as to change them. Once they were counted nobody comes back for a rest: the next
        // batch may have begun behind it.
        limitMs = limitMs === null || cleanedHere !== null ? null : limitMs / 2
        const most = cleanedHere ?? leftRows()
        await change((tx, where) =>
          target.change(tx, unlockedRows(target, inTime(where, limitMs), most)),
        )
      }
    }
    const commitBoth = async () => {
      try {
        await commit()
      } finally {
        // One that fails at once, since the run was aborted, has not waited for the one before, and nobody else would.
        await before.catch(() => undefined)
      }
    }
    committed = commitBoth()
    committed.catch(changed.reject)
    return await changed.promise
  }

  /** Ranges of pages have no row in common; a search, or a cut range, meets those of a batch that is not committed yet. */
  async function nextRows(tx: Transaction, before: Promise<void>): Promise<NextRows> {
    if (look === null || chosen === null || order === null) {
      look ??= await firstLook(tx, target)
      refuseLaterThan(look.now, target, CLOCK_TOLERANCE_MS)
      // Where little is due, a second connection costs more than waiting for a few commits. A client of pg may be the only
      // one there is, and the next batch would begin in the transaction of this one.
      overlaps = !look.isAll && isPrisma(tx)
      chosen = await chooseOrder(tx, target, look)
      order =
        chosen.kind === 'index'
          ? indexOrder(target)
          : pageOrder({ target, signal, due: look.isAll ? look.due : due, ...chosen })
      // Rows that lie together are changed so quickly that most fit into one batch, and it is cut where they don't.
      if (look.isAll && !look.hasAftermath && chosen.kind === 'pages') pace = createPace(look.due)
      log.debug({ order: chosen }, 'clean-up order chosen')
    }
    if (chosen.kind === 'index' || wasCut) await before
    signal.throwIfAborted()
    const next = await order.next(tx, pace.rows())
    if (next.kind !== 'end' || chosen.kind === 'index') return next
    // What this sweep has cleaned is dead in the index. After a part of the table only, the index must be read all the
    // same: due rows may lie elsewhere.
    const isWhole = chosen.stop - chosen.first >= chosen.pages
    if (isWhole && look.dead + cleaned > MAX_DEAD_FOR_LAST_LOOK) return next
    await before
    chosen = { kind: 'index' }
    order = indexOrder(target)
    return order.next(tx, pace.rows())
  }

  /** Counts in the same scan what of it is due, where the first look has not counted all. */
  async function countPopulation(tx: Transaction, population: Sql): Promise<number> {
    if (look === null || look.isAll) return await countRows(tx, target.table, population)
    const [counted] = await queryRows<{ all: number; due: number }>(
      tx,
      sql`
      select count(*)::float8 as "all", (count(*) filter (where ${target.due}))::float8 as "due"
      from ${quoted(target.table)} where ${population}`,
    )
    due = counted?.due ?? 0
    return counted?.all ?? 0
  }

  /** A dry run is one transaction, which a failed statement would end: so it passes over locked rows from the start. */
  async function rehearse(tx: Transaction, where: Sql): Promise<C> {
    const rows = unlockedRows(target, where, leftRows())
    await findings?.add(tx, rows)
    return target.change(tx, rows)
  }
}

function refuseLaterThan(now: Date, { cutoff }: SweepTarget, toleranceMs = 0): void {
  if (cutoff.getTime() <= now.getTime() + toleranceMs) return
  throw new JobError('cutoff_invalid', `The cut-off ${cutoff.toISOString()} lies in the future`, {
    retryable: false,
  })
}

/** A batch whose transaction begins before there is work for it. */
interface OpenedBatch<C> {
  carryOut(work: (tx: Transaction) => Promise<C>): Promise<C>
  /** Rolls it back, for want of work. */
  leave(): Promise<void>
}

function openBatch<C extends SweepCounts>(batch: SweepContext['batch']): OpenedBatch<C> {
  const given = Promise.withResolvers<(tx: Transaction) => Promise<C>>()
  const begin = async () => await batch(async (tx) => await (await given.promise)(tx))
  const done = begin()
  // Whoever carries it out or leaves it hears of a failure.
  for (const promise of [done, given.promise]) promise.catch(() => undefined)
  return {
    carryOut(work) {
      given.resolve(work)
      return done
    },
    async leave() {
      given.reject(new Error('There is nothing left to clean'))
      await done.catch(() => undefined)
    },
  }
}

/** A batch holds its locks for as long as it takes. None should hold them for 50 ms, and the commit may take some of it. */
const TARGET_MS = 20
/**
 * After this long a batch changes no further row: the guess of its size was wrong. Well above the aim, since whatever a range of
 * pages has of others is looked at once more after a cut.
 */
const LIMIT_MS = 32
const FIRST_ROWS = 1_000
const MIN_ROWS = 100
const MAX_ROWS = 50_000
/** One batch may be an exception: the number of rows changes by at most this much, either way. */
const MAX_GROWTH = 20
const MAX_SHRINKING = 4

/** Chooses how many rows the next batch should change, by how long the ones before took. */
export function createPace(first = FIRST_ROWS) {
  // A first look that finds nothing due asks for none.
  let rows = Math.max(MIN_ROWS, first)
  let isWarm = false
  /** How long the last counts and commit took, which does not depend on the number of rows. */
  let commitMs = 0

  return {
    rows: () => rows,
    /** `isCut`: it ran out of time before it came to all of its rows. */
    changed(changed: number, changeMs: number, isCut = false): void {
      const durationMs = changeMs + commitMs
      // The first batch also waits for plans and cold pages: a slow one says little about the others.
      const isFirst = !isWarm
      isWarm = true
      // Where commits are slow, smaller batches would only have more of them.
      const aimMs = Math.max(TARGET_MS / 2, TARGET_MS - commitMs)
      if (isCut) return resize((changed * aimMs) / changeMs)
      if (isFirst && durationMs > TARGET_MS) return
      const isPartial = changed < rows / 2
      // The time of a small batch says nothing about a large one, unless it was too long already.
      if (isPartial && durationMs <= TARGET_MS) return
      const factor = Math.min(MAX_GROWTH, Math.max(1 / MAX_SHRINKING, aimMs / changeMs))
      resize(rows * factor)
    },
    committed(durationMs: number): void {
      commitMs = durationMs
    },
  }

  function resize(to: number): void {
    rows = Math.round(Math.min(MAX_ROWS, Math.max(MIN_ROWS, to)))
  }
}

/** A condition that no further row meets after so many milliseconds of the statement. Null: it has no limit. */
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

/** Counts the rows that meet the condition. It stops at `limit` when that is at most 100,000, and else counts them all. */
async function countRows(
  tx: Transaction,
  table: string,
  where: Sql,
  limit = Infinity,
): Promise<number> {
  if (limit <= 0) return 0
  const isBounded = limit <= MAX_COUNT_LIMIT
  const [counted] = await queryRows<{ count: number }>(
    tx,
    isBounded
      ? sql`
          select count(*)::float8 as "count"
          from (select from ${quoted(table)} where ${where} limit ${limit}) met`
      : sql`select count(*)::float8 as "count" from ${quoted(table)} where ${where}`,
  )
  return counted?.count ?? 0
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

/** Whether a statement failed because somebody holds a lock that it needs. */
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
