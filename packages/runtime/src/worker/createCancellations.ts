import { JobError } from '../contract/index.ts'
import { CANCEL_CHANNEL } from '../queue/channels.ts'
import type { Database } from '../queue/database.ts'
import type { Session } from '../queue/session.ts'

export interface Cancellations {
  start(): Promise<void>
  /** Aborted when somebody cancels that run; valid until the run is forgotten. */
  signalFor(runId: string): AbortSignal
  forget(runId: string): void
  /** Finds what a notification did not tell: one may be lost with the connection. */
  check(): Promise<void>
}

/** Carries the wish of another process to stop a run to the signal of its handler. */
export function createCancellations(options: {
  database: Database
  session: Session
  workerId: string
}): Cancellations {
  const { database, session, workerId } = options
  const controllers = new Map<string, AbortController>()

  async function check(): Promise<void> {
    if (controllers.size === 0) return
    const asked = [...controllers.keys()]
    const { rows } = await database.query<{
      id: string
      isCancelled: boolean
      cancelRequestedBy: string | null
    }>(
      `select "id", "cancelRequestedAt" is not null as "isCancelled", "cancelRequestedBy" from "JobRun"
       where "status" = 'running' and "workerId" = $1 and "id" = any($2)`,
      [workerId, asked],
    )
    const own = new Set(rows.map(({ id }) => id))
    for (const id of asked) {
      if (!own.has(id))
        controllers
          .get(id)
          ?.abort(new JobError('run_lost', 'The run was taken over by another worker'))
    }
    for (const { id, isCancelled, cancelRequestedBy } of rows) {
      if (!isCancelled) continue
      const by = cancelRequestedBy ?? 'somebody'
      const reason = new JobError('cancelled', `Cancelled by ${by}`, { retryable: false })
      controllers.get(id)?.abort(reason)
    }
  }

  return {
    async start() {
      const look = () => void check().catch(() => undefined)
      await session.listen(CANCEL_CHANNEL, (runId) => controllers.has(runId) && look(), look)
    },
    signalFor(runId) {
      const controller = new AbortController()
      controllers.set(runId, controller)
      return controller.signal
    },
    forget: (runId) => void controllers.delete(runId),
    check,
  }
}
