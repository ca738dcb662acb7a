import type { Connection } from '../database/database.ts'
import { toColumn } from '../database/toColumn.ts'
import type { Taken } from '../queue/taken.ts'
import type { RunLog } from './runLog.ts'

/** A run under way that has logged something. */
export interface LoggingRun {
  readonly taken: Pick<Taken, 'id' | 'name' | 'startedAt' | 'attempt' | 'label'>
  readonly kept: RunLog | null
  /** Whether JobRun may have it, and what writes it there. */
  readonly hasRow: boolean
  write(): Promise<void>
}

export type LiveLogs = ReturnType<typeof createLiveLogs>

/** The lines of shorter runs are written with their end. */
const FROM_MS = 5_000
const EVERY_MS = 1_000
/** Characters of one statement. Further lines wait for the next. */
const MAX_LENGTH = 500_000

/**
 * Writes log lines of runs while they run, so that people see them, even if the worker dies. One statement a second for all
 * runs of a worker, and none while no run has logged anything new. A failed statement is dropped: the next has its lines as well.
 */
export function createLiveLogs({
  connection,
  workerId,
  now,
  onWritten,
}: {
  connection: Connection
  workerId: string
  now: () => Date
  onWritten?: ((run: LoggingRun['taken']) => void) | undefined
}) {
  const running = new Map<string, LoggingRun>()
  let timer: NodeJS.Timeout | null = null

  function schedule(): void {
    if (timer !== null || running.size === 0) return
    timer = setTimeout(() => {
      void flush().finally(() => {
        timer = null
        schedule()
      })
    }, EVERY_MS).unref()
  }

  async function flush(): Promise<void> {
    const before = now().getTime() - FROM_MS
    const written: { run: LoggingRun; logs: string }[] = []
    let length = 0
    for (const [id, run] of running) {
      if (length > MAX_LENGTH) break
      if (run.taken.startedAt.getTime() > before) continue
      const logs = run.kept?.readNew() ?? null
      if (logs === null) continue
      written.push({ run, logs })
      length += logs.length
      // Behind the others, which may have waited.
      running.delete(id)
      running.set(id, run)
    }
    if (written.length === 0) return
    try {
      await Promise.all(written.flatMap(({ run }) => (run.hasRow ? [] : [run.write()])))
      await connection.query(WRITE_LOGS_SQL, [
        workerId,
        toColumn(written.map(({ run }) => run.taken.id)),
        toColumn(written.map(({ logs }) => logs)),
      ])
      for (const { run } of written) onWritten?.(run.taken)
    } catch {
      // The next statement, or the end, has these lines.
    }
  }

  return {
    watch(run: LoggingRun): void {
      running.set(run.taken.id, run)
      schedule()
    },
    /** Call it before the run's end is written. */
    forget(runId: string): void {
      running.delete(runId)
    },
  }
}

/** It skips runs whose row a handler's transaction has locked, and runs that have ended. */
const WRITE_LOGS_SQL = `
  with free as materialized (
    select "id" from "JobRun" where "id" = any($2::uuid[]) and "workerId" = $1 and "status" = 'running' for no key update skip locked
  )
  update "JobRun" run set "logs" = line."logs"::jsonb from unnest($2::uuid[], $3::text[]) as line("runId", "logs")
  where run."id" = line."runId" and run."id" in (select "id" from free)`
