import type { Logger } from 'pino'
import { CHANGES_CHANNEL, type Announcement } from '../queue/channels.ts'
import type { Connection } from '../queue/database.ts'

export interface Announcer {
  run(run: { id: string; name: string }): void
  tick(name: string): void
  /** Says what has not been said yet. */
  stop(): Promise<void>
}

/** Often enough to watch, and seldom enough to cost nothing, however many runs there are. */
const INTERVAL_MS = 250
/** A notification holds 8,000 bytes. */
const MAX_IDS = 100

/**
 * Tells whoever listens what has changed. Beside the transactions, not in them: a notification makes its
 * transaction's commit wait for those of others.
 */
export function createAnnouncer(database: Connection, log: Logger): Announcer {
  let pending = empty()
  let timer: NodeJS.Timeout | undefined
  let saying: Promise<void> = Promise.resolve()

  function later(): void {
    timer ??= setTimeout(() => {
      timer = undefined
      saying = say()
    }, INTERVAL_MS)
  }

  async function say(): Promise<void> {
    const { ids, names, ticks } = pending
    if (names.size + ticks.size === 0) return
    pending = empty()
    const announcement: Announcement = {
      ids: ids.size > MAX_IDS ? [] : [...ids],
      names: [...names],
      ticks: [...ticks],
    }
    try {
      await database.query('select pg_notify($1, $2)', [
        CHANGES_CHANNEL,
        JSON.stringify(announcement),
      ])
    } catch (error) {
      log.debug({ err: error }, 'changes could not be announced')
    }
  }

  return {
    run({ id, name }) {
      if (pending.ids.size <= MAX_IDS) pending.ids.add(id)
      pending.names.add(name)
      later()
    },
    tick(name) {
      pending.ticks.add(name)
      later()
    },
    async stop() {
      clearTimeout(timer)
      await saying
      await say()
    },
  }
}

function empty() {
  return { ids: new Set<string>(), names: new Set<string>(), ticks: new Set<string>() }
}
