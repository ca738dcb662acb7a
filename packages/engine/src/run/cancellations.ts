import { JobError } from '../job/jobError.ts'
import type { Abort } from './abort.ts'
import { CANCEL_CHANNEL } from '../database/channels.ts'
import type { Database } from '../database/database.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import type { Session } from '../liveness/session.ts'
import type { WakeUps } from '../work/wakeUps.ts'

export interface Cancellations {
  start(): Promise<void>
  /** Aborts the run when it is cancelled, takes longer than its time-out, or was ended by another worker, until `forget`. */
  watch(abort: Abort): void
  isWatched(runId: string): boolean
  /** Aborts a run whose claim the database has lost. Resolves once its handler has ended. */
  lose(runId: string): Promise<void>
  forget(abort: Abort): void
  /** The runs to look for. */
  watched(): string[]
  /** The same, with what stops them. */
  aborts(): Iterable<Abort>
  /** Aborts the runs of `asked` that `ownRunsSql` has found cancelled, or not found. */
  note(asked: readonly string[], found: readonly OwnRun[]): void
  check(): Promise<void>
  /** Has durable runs that are watched now or later end after their steps in process. */
  endSoon(reason: JobError): void
  /** The same for those that are watched now. */
  endWatchedSoon(reason: JobError): void
  /** Aborts all runs that are watched now or later. */
  abortAll(reason: unknown): void
}

export interface OwnRun {
  id: string
  isCancelled: boolean
}

/** Those of the runs `ids` that are under way at the worker, as JSON of OwnRun. */
export const ownRunsSql = (workerId: string, ids: string) => `(
    select coalesce(jsonb_agg(jsonb_build_object('id', run."id", 'isCancelled', cancel."runId" is not null)), '[]')
    from ${RUNS_UNDER_WAY} left join "JobCancel" cancel on cancel."runId" = run."id"
    where run."workerId" = ${workerId} and run."id" = any(${ids}::uuid[])
  )`

/** Aborts runs: those that this or another process has asked to stop, and those that take too long. */
export function createCancellations(options: {
  database: Database
  session: Pick<Session, 'listen'>
  wakeUps: WakeUps
  workerId: string
}): Cancellations {
  const { database, session, wakeUps, workerId } = options
  const watched = new Map<string, Abort>()
  /** One timer for all runs, until the first of them takes too long: a timer for each costs as much as the rest of its start. */
  let timer: NodeJS.Timeout | undefined
  let timerAt = Infinity
  let ending: { reason: unknown } | null = null
  let endingSoon: JobError | null = null

  async function check(): Promise<void> {
    if (watched.size === 0) return
    const asked = [...watched.keys()]
    const { rows } = await database.query<{ runs: OwnRun[] }>(
      `select ${ownRunsSql('$1', '$2')} as "runs"`,
      [workerId, asked],
    )
    note(asked, rows[0]?.runs ?? [])
  }

  function note(asked: readonly string[], found: readonly OwnRun[]): void {
    const own = new Set(found.map(({ id }) => id))
    for (const id of asked) {
      if (!own.has(id)) watched.get(id)?.abort(lost())
    }
    for (const { id, isCancelled } of found) {
      if (!isCancelled) continue
      const reason = new JobError('cancelled', 'Somebody cancelled the run', { retryable: false })
      watched.get(id)?.abort(reason)
    }
  }

  function endWatchedSoon(reason: JobError): void {
    for (const abort of watched.values()) abort.endSoon(reason)
  }

  function setTimer(at: number, ms: number): void {
    clearTimeout(timer)
    timerAt = at
    timer = at === Infinity ? undefined : setTimeout(abortLate, ms)
  }

  function abortLate(): void {
    const at = performance.now()
    let nextAt = Infinity
    for (const abort of watched.values()) {
      if (abort.endsAt <= at) {
        abort.endsAt = Infinity
        abort.abort(new JobError('timeout', `The run took longer than ${abort.timeoutMs} ms`))
      }
      nextAt = Math.min(nextAt, abort.endsAt)
    }
    setTimer(nextAt, Math.ceil(nextAt - at))
  }

  return {
    async start() {
      const look = () => void check().catch(() => undefined)
      const receiver = { isWanted: (runId: string) => watched.has(runId), onCommitted: look }
      await session.listen(CANCEL_CHANNEL, (payload) => wakeUps.receive(payload, receiver), look)
    },
    watch(abort) {
      watched.set(abort.runId, abort)
      abort.endsAt = performance.now() + abort.timeoutMs
      if (abort.endsAt < timerAt) setTimer(abort.endsAt, abort.timeoutMs)
      if (endingSoon) abort.endSoon(endingSoon)
      if (ending) abort.abort(ending.reason)
    },
    isWatched: (runId) => watched.has(runId),
    async lose(runId) {
      const abort = watched.get(runId)
      if (abort === undefined) return
      abort.abort(lost())
      await (abort.over ??= Promise.withResolvers()).promise
    },
    forget(abort) {
      abort.isOver = true
      abort.over?.resolve()
      watched.delete(abort.runId)
      if (watched.size === 0) setTimer(Infinity, 0)
    },
    watched: () => [...watched.keys()],
    aborts: () => watched.values(),
    note,
    check,
    endSoon(reason) {
      endingSoon = reason
      endWatchedSoon(reason)
    },
    endWatchedSoon,
    abortAll(reason) {
      ending ??= { reason }
      for (const abort of watched.values()) abort.abort(reason)
    },
  }
}

const lost = () => new JobError('run_lost', 'The run was taken over by another worker')
