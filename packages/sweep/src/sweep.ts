import { JobError, type Details, type RunContext } from '@roundsman/engine'
import type { Transaction } from './transaction.ts'
import { chooseOrder, type ChosenOrder } from './chooseOrder.ts'
import { countRows, estimateRows } from './countRows.ts'
import { createFindings } from './createFindings.ts'
import { firstLook, type FirstLook } from './firstLook.ts'
import { indexOrder } from './indexOrder.ts'
import { pageOrder } from './pageOrder.ts'
import type { NextRows, SweepOrder } from './sweepOrder.ts'
import type { SweepCounts, SweepTarget } from './sweepTarget.ts'
import { quoted, sql, type Sql } from './sql.ts'

export type SweepContext = Pick<
  RunContext<unknown, Transaction>,
  'batch' | 'guard' | 'log' | 'now' | 'run' | 'signal'
>

/** Walking an index over more dead rows than this would take longer than any batch may. */
const MAX_DEAD_FOR_LAST_LOOK = 50_000

/** The clocks of machines disagree, but by less. */
const CLOCK_TOLERANCE_MS = 60_000

/**
 * Cleans what is due, batch by batch, in the order that is fastest for how much that is: as the indexes
 * list it, or, where much is due, page by page through the table, and then by the indexes what moved
 * meanwhile. Rows that somebody holds locked are passed over; they are due again in the next run.
 *
 * Returns what there is to say in a dry run beyond the counts.
 * @throws JobError `cutoff_invalid` when the cut-off is not in the past
 */
export async function sweep<C extends SweepCounts>(
  { batch, guard, log, now, run, signal }: SweepContext,
  target: SweepTarget<C>,
): Promise<Details> {
  refuseLaterThan(now(), target)
  let look = null as FirstLook | null
  /** All that is due, where it was counted beyond the first look. */
  let due = null as number | null
  await guard({
    total: async (tx, upTo) => {
      const { table, population } = target
      if (population) return await countRows(tx, table, population, upTo)
      return upTo === undefined
        ? await estimateRows(tx, table)
        : await countRows(tx, table, sql`true`, upTo)
    },
    due: async (tx, limit) => {
      look ??= await firstLook(tx, target)
      if (look.isAll || limit <= look.due) return look.due
      return (due = await countRows(tx, target.table, target.due))
    },
  })

  const pace = createPace()
  const findings = run.dryRun ? createFindings(target) : null
  let chosen: ChosenOrder | null = null
  let order = null as SweepOrder | null
  let cleaned = 0

  for (;;) {
    signal.throwIfAborted()
    if (isAllCleaned() || order?.isOver() || !(await cleanNext())) return findings?.details() ?? {}
  }

  /** Then nothing has moved, and what has come since it was counted is due in the next run. */
  function isAllCleaned(): boolean {
    const counted = look?.isAll ? look.due : due
    // Also a run that finds nothing says so by the counts of a batch.
    return order !== null && counted !== null && cleaned >= counted
  }

  /** Whether there may be more. */
  async function cleanNext(): Promise<boolean> {
    let next: NextRows | null = null
    // From the first lock to the last: only this makes anybody wait.
    let lockedAtMs = 0
    const change = async (work: (tx: Transaction, where: Sql) => Promise<C>) => {
      const counts = await batch(async (tx) => {
        next ??= await nextRows(tx)
        lockedAtMs = performance.now()
        return next.kind === 'rows' ? work(tx, next.where) : target.nothing
      })
      if (next?.kind !== 'rows') return false
      cleaned += counts.cleaned
      order?.changed(counts.cleaned)
      const lockedMs = performance.now() - lockedAtMs
      pace.took(counts.cleaned, lockedMs)
      log.debug({ rows: counts.cleaned, lockedMs }, 'clean-up batch done')
      return true
    }
    if (findings !== null) return change(rehearse)
    try {
      return await change((tx, where) => target.change(tx, expectedUnlocked(where)))
    } catch (error) {
      if (next === null || !isLockTimeout(error)) throw error
      return change((tx, where) => target.change(tx, unlockedRows(target, where)))
    }
  }

  async function nextRows(tx: Transaction): Promise<NextRows> {
    if (look === null || chosen === null || order === null) {
      look ??= await firstLook(tx, target)
      refuseLaterThan(look.now, target, CLOCK_TOLERANCE_MS)
      chosen = await chooseOrder(tx, target, look)
      order =
        chosen.kind === 'index'
          ? indexOrder(target)
          : pageOrder({ target, signal, due: look.isAll ? look.due : due, ...chosen })
      log.debug({ order: chosen }, 'clean-up order chosen')
    }
    const next = await order.next(tx, pace.rows())
    if (next.kind !== 'end' || chosen.kind === 'index') return next
    // What this sweep has cleaned is dead in the index. Of a part of the table, the index has to say what lies elsewhere.
    const isWhole = chosen.stop - chosen.first >= chosen.pages
    if (isWhole && look.dead + cleaned > MAX_DEAD_FOR_LAST_LOOK) return next
    chosen = { kind: 'index' }
    order = indexOrder(target)
    return order.next(tx, pace.rows())
  }

  /** One transaction for all: a failed statement would be its end, so no lock may be met. */
  async function rehearse(tx: Transaction, where: Sql): Promise<C> {
    const rows = unlockedRows(target, where)
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

/** A batch holds locks for as long as it takes; most should stay below 20 ms, so it aims a little lower. */
const TARGET_MS = 18
const FIRST_ROWS = 1_000
const MIN_ROWS = 100
const MAX_ROWS = 50_000
/** One batch is no proof: what it says is believed this far, either way. */
const MAX_GROWTH = 8
const MAX_SHRINKING = 4

/** How many rows the next batch should change, by how long those before took. */
export function createPace() {
  let rows = FIRST_ROWS
  let isWarm = false

  return {
    rows: () => rows,
    took(changed: number, durationMs: number): void {
      // The first batch also waits for plans and cold pages: that it was slow says little of the others.
      const isFirst = !isWarm
      isWarm = true
      if (isFirst && durationMs > TARGET_MS) return
      const isPartial = changed < rows / 2
      // What a small batch takes says nothing of a big one, unless it took too long already.
      if (isPartial && durationMs <= TARGET_MS) return
      const factor = Math.min(MAX_GROWTH, Math.max(1 / MAX_SHRINKING, TARGET_MS / durationMs))
      rows = Math.round(Math.min(MAX_ROWS, Math.max(MIN_ROWS, rows * factor)))
    },
  }
}

/**
 * The rows that meet the condition, for a statement that expects nobody to hold any of them locked: where that
 * is wrong, it fails within a millisecond, and `isLockTimeout` tells.
 */
function expectedUnlocked(where: Sql): Sql {
  // Part of the statement, which evaluates it before it looks at any row: a batch is short, and a statement of
  // its own is a noticeable part of it.
  //
  // A batch that a crash of the server takes back is taken back with its counts, so it need not wait for the
  // disk. The end of the run does wait, and then whatever came before it is on the disk.
  return sql`
    (select set_config('lock_timeout', '1ms', true) || set_config('synchronous_commit', 'off', true)) is not null
    and ${where}`
}

/**
 * The rows that meet the condition and that nobody else holds locked; whoever asks locks them. To lock each
 * row before it is changed takes about as long as deleting it, so this is for when somebody is in the way.
 */
function unlockedRows(target: SweepTarget, where: Sql): Sql {
  return sql`
    ctid = any(array(select ctid from ${quoted(target.table)} where ${where} for update skip locked))`
}

/** Whether a statement gave up because somebody holds what it needs locked. */
function isLockTimeout(error: unknown): boolean {
  const { code, meta } = (error ?? {}) as LockError
  // pg says it itself; Prisma of version 6 in its meta, and of version 7 in what its adapter has thrown.
  const codes = [code, meta?.code, meta?.driverAdapterError?.cause?.originalCode]
  return codes.includes(LOCK_NOT_AVAILABLE)
}

interface LockError {
  code?: unknown
  meta?: { code?: unknown; driverAdapterError?: { cause?: { originalCode?: unknown } } }
}

const LOCK_NOT_AVAILABLE = '55P03'
