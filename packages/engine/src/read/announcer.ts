import type { Logger } from '../job/logger.ts'
import { CHANGES_CHANNEL, notify, type Announcement } from '../database/channels.ts'
import type { Connection } from '../database/database.ts'

export interface Announcer {
  run(run: { id: string; name: string }): void
  tick(name: string): void
  /** Sends the pending announcements. */
  stop(): Promise<void>
}

/** At most one announcement in this time, for any number of runs. */
const INTERVAL_MS = 250
const MAX_IDS = 100
/** PostgreSQL accepts fewer than 8,000 bytes in a notification. */
const MAX_BYTES = 7_999

/** Announces changes to all listeners, outside the transactions of the work: see channels.ts. */
export function createAnnouncer(database: Connection, log: Logger): Announcer {
  let pending = empty()
  let timer: NodeJS.Timeout | undefined
  let saying: Promise<void> = Promise.resolve()

  /** Sends one statement after another, even if one hangs behind another session's lock. */
  function later(): void {
    timer ??= setTimeout(() => {
      saying = say().finally(() => {
        timer = undefined
        if (hasMore()) later()
      })
    }, INTERVAL_MS)
  }

  const hasMore = () => pending.names.size + pending.ticks.size > 0

  async function say(): Promise<void> {
    if (!hasMore()) return
    const { ids, names, ticks } = pending
    pending = empty()
    const announcement: Announcement = {
      ids: ids.size > MAX_IDS ? [] : [...ids],
      names: [...names],
      ticks: [...ticks],
    }
    try {
      await notify(database, CHANGES_CHANNEL, toPayloads(announcement))
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
      // Changes during the statement have set the timer again.
      clearTimeout(timer)
      await say()
    },
  }
}

/** Makes one notification, or several if hundreds of jobs do not fit into one. */
function toPayloads(announcement: Announcement): string[] {
  const payload = JSON.stringify(announcement)
  const { names, ticks } = announcement
  if (Buffer.byteLength(payload) <= MAX_BYTES || Math.max(names.length, ticks.length) < 2) {
    return [payload]
  }
  const [name, tick] = [Math.ceil(names.length / 2), Math.ceil(ticks.length / 2)]
  return [
    ...toPayloads({ ids: [], names: names.slice(0, name), ticks: ticks.slice(0, tick) }),
    ...toPayloads({ ids: [], names: names.slice(name), ticks: ticks.slice(tick) }),
  ]
}

function empty() {
  return { ids: new Set<string>(), names: new Set<string>(), ticks: new Set<string>() }
}
