import type { Database } from '../database/database.ts'
import { toColumn } from '../database/toColumn.ts'
import type { Logger } from '../job/logger.ts'
import { KEEP_MEMOS, MEMO_COLUMNS } from '../queue/stepSql.ts'
import { pauseAfter } from '../run/pauseAfter.ts'
import { classifyFailure } from '../run/settler.ts'

/** A row of JobStep that a run writes: a memo, the call of an effect, or a failure. */
export interface Memo {
  readonly claimId: string
  readonly workId: string
  readonly name: string
  readonly item: string
  readonly kind: 'run' | 'map' | 'invoke'
  readonly seq: number | null
  readonly runId: string
  readonly startedAt: Date
  readonly endedAt: Date | null
  readonly result: string | null
  readonly error: string | null
  readonly failures: number
  readonly doubtSince: Date | null
  readonly generation: number | null
}

/**
 *   kept     It is committed. `result` is as later runs read it.
 *   missing  The claim does not hold the run any more, or another run has written a memo of this step.
 *   refused  PostgreSQL cannot store it.
 */
export type Kept = { readonly result: string | null } | 'missing' | 'refused'

export interface MemoWriter {
  /** Tries until the database answers. */
  keep(memo: Memo): Promise<Kept>
  /** Stops trying: what is not written by then is missing. */
  stop(): void
}

interface Waiting {
  memo: Memo
  resolve: (kept: Kept) => void
}

const MAX_GROUP = 500

/**
 * Writes the memos of all runs of a worker in groups: what ends during one statement shares the next one. One group at a time is
 * under way.
 */
export function createMemoWriter(options: {
  database: Database
  workerId: string
  log: Logger
}): MemoWriter {
  const { database, workerId, log } = options
  const waiting: Waiting[] = []
  let isBusy = false
  let isStopped = false

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) await write(waiting.splice(0, MAX_GROUP))
    isBusy = false
  }

  async function write(group: readonly Waiting[]): Promise<void> {
    for (let tries = 1; !isStopped; tries++) {
      try {
        const kept = await keepMemos(group.map(({ memo }) => memo))
        for (const { memo, resolve } of group) resolve(kept.get(keyOf(memo)) ?? 'missing')
        return
      } catch (error) {
        log.warn({ err: error, memos: group.length }, 'memos could not be stored, trying again')
        const isRefused = classifyFailure(error) === 'refused'
        if (!isRefused) await pauseAfter(tries)
        else if (group.length > 1) {
          const middle = Math.ceil(group.length / 2)
          await write(group.slice(0, middle))
          return await write(group.slice(middle))
        } else return group[0]?.resolve('refused')
      }
    }
    for (const { resolve } of group) resolve('missing')
  }

  async function keepMemos(
    memos: readonly Memo[],
  ): Promise<ReadonlyMap<string, Exclude<Kept, string>>> {
    const columns = ['claimId', ...Object.keys(MEMO_COLUMNS)] as (keyof Memo)[]
    const { rows } = await database.query<Memo & { [column: string]: unknown }>(KEEP_MEMOS, [
      workerId,
      [...new Set(memos.map(({ claimId }) => claimId))],
      ...columns.map((column) => toColumn(memos.map((memo) => memo[column]))),
    ])
    return new Map(rows.map((row) => [keyOf(row), { result: row.result }]))
  }

  return {
    keep: (memo) =>
      new Promise((resolve) => {
        waiting.push({ memo, resolve })
        if (isBusy) return
        isBusy = true
        // Steps that end in the same turn of the event loop share a statement.
        setImmediate(() => void writeAll())
      }),
    stop() {
      isStopped = true
    },
  }
}

const keyOf = ({ workId, name, item }: Pick<Memo, 'workId' | 'name' | 'item'>) =>
  `${workId} ${name} ${item}`
