import type { HostLogger } from '../job/logger.ts'
import { containedLog } from '../database/containedLog.ts'
import { CHANGES_CHANNEL, type Announcement } from '../database/channels.ts'
import { createSchema } from '../database/schema.ts'
import { findPooler } from '../database/findPooler.ts'
import { createListener } from '../database/listener.ts'

export type { Announcement }

export interface ChangesWatch {
  /** Whether connections to this database are sessions. False until it is known. */
  isLasting(): boolean
  close(): Promise<void>
}

export interface ChangesWatchOptions {
  databaseUrl: string
  /** Default `roundsman`. */
  schema?: string | undefined
  /** Default: warnings go to standard error. */
  log?: Pick<HostLogger, 'warn'> | undefined
  onChange: (announcement: Announcement) => void
  /**
   * Called when changes may have been missed: after each reconnect, and every GAP_MS if it cannot listen at all, for example
   * behind a transaction pooler.
   */
  onGap: () => void
  /** Interval of probes: a connection that lost its other end is as silent as an idle one. Default 10,000 ms. */
  probeMs?: number | undefined
}

const RETRY_MS = 1_000
const ANSWER_TIMEOUT_MS = 5_000
const GAP_MS = 5_000

/**
 * Listens to the announcements of workers, on a separate connection, and reconnects until it is closed. Behind a transaction
 * pooler it would receive nothing, without an error: there it calls `onGap` every GAP_MS.
 */
export function watchChanges(options: ChangesWatchOptions): ChangesWatch {
  const { databaseUrl: url, onChange, onGap, probeMs = 10_000 } = options
  const log = containedLog(options.log)
  const schema = createSchema(options.schema)
  const own = schema.channel(CHANGES_CHANNEL)
  const listener = createListener({
    url,
    applicationName: 'roundsman changes',
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
    probeMs,
    log,
  })
  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  let isLasting = false
  let hasHeardForeign = false

  async function begin(): Promise<void> {
    try {
      if ((await findPooler(url)) === null) {
        if (!isClosed) await listener.listen(own, hear, onGap)
        isLasting = true
        return
      }
      if (isClosed) return
      log.warn(
        { everyMs: GAP_MS },
        'connections to this database do not last, as behind a transaction pooler: live pages read everything again every few seconds',
      )
      timer = setInterval(onGap, GAP_MS)
    } catch (error) {
      if (isClosed) return
      const reason = (error as Error).message
      log.warn({ reason }, 'watching for changes interrupted, trying again')
      timer = setTimeout(() => void begin(), RETRY_MS)
    }
  }

  function hear(payload: string): void {
    const announcement = readAnnouncement(payload)
    if (announcement) return onChange(announcement)
    // Log it once, since there may be many.
    if (!hasHeardForeign) log.warn({ channel: own }, 'foreign notification ignored')
    hasHeardForeign = true
  }

  void begin()
  return {
    isLasting: () => isLasting,
    async close() {
      isClosed = true
      clearTimeout(timer)
      await listener.stop()
    },
  }
}

/**
 * Reads the payload of a notification. Undefined if it is not an announcement, since any program with a connection can notify.
 * PostgreSQL limits it to 8,000 bytes.
 */
export function readAnnouncement(payload: string): Announcement | undefined {
  try {
    const { ids, names, ticks } = JSON.parse(payload) as Record<keyof Announcement, unknown>
    if (!isTexts(ids) || !isTexts(names) || !isTexts(ticks)) return undefined
    return ids.every((id) => UUID.test(id)) ? { ids, names, ticks } : undefined
  } catch {
    return undefined
  }
}

const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
