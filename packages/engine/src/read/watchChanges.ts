import pg from 'pg'
import type { HostLogger } from '../job/logger.ts'
import { containedLog } from '../store/containedLog.ts'
import { CHANGES_CHANNEL, type Announcement } from '../store/channels.ts'
import { connectionSettings } from '../store/connectionSettings.ts'
import { createSchema } from '../store/schema.ts'
import { socketOf } from '../store/answerInTime.ts'
import { openDatabase } from '../store/database.ts'
import { endClient } from '../store/endClient.ts'
import { isSession } from '../liveness/isSession.ts'

export type { Announcement }

export interface ChangesWatch {
  /** Whether connections to this database are sessions; false until it is known. */
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
   * Called when changes may have been missed: after it listens again, and every GAP_MS where it cannot listen at all, as
   * behind a transaction pooler.
   */
  onGap: () => void
  /**
   * How often it probes the connection: one that lost its other end is as silent as one on which nothing happens. Default
   * 10,000 ms.
   */
  probeMs?: number | undefined
}

const RETRY_MS = 1_000
const QUERY_TIMEOUT_MS = 5_000
const GAP_MS = 5_000

/**
 * Listens to what workers announce, on a connection of its own, and reconnects until it is closed. Behind a transaction
 * pooler it would hear nothing, without an error: there it calls `onGap` every GAP_MS.
 */
export function watchChanges(options: ChangesWatchOptions): ChangesWatch {
  const { databaseUrl, onChange, onGap, probeMs = 10_000 } = options
  const log = containedLog(options.log)
  const schema = createSchema(options.schema)
  const own = schema.channel(CHANGES_CHANNEL)
  let client: pg.Client | null = null
  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  let hasListened = false
  let hasHeardForeign = false

  async function connect(): Promise<void> {
    const next = new pg.Client({
      ...connectionSettings(databaseUrl),
      application_name: 'roundsman changes',
      query_timeout: QUERY_TIMEOUT_MS,
    })
    client = next
    next.on('error', (error) => lose(next, error))
    next.on('end', () => lose(next, new Error('the connection ended')))
    next.on('notification', ({ channel, payload = '' }) => {
      if (channel === own) hear(payload)
    })
    try {
      await next.connect()
      if (!hasListened && !(await mayListen(next))) return await giveUpListening(next)
      await next.query(`listen ${own}`)
    } catch (error) {
      return lose(next, error as Error)
    }
    if (hasListened) onGap()
    hasListened = true
    scheduleProbe(next)
  }

  function hear(payload: string): void {
    const announcement = readAnnouncement(payload)
    if (announcement) return onChange(announcement)
    // Log it once: there may be many.
    if (!hasHeardForeign) log.warn({ channel: own }, 'foreign notification ignored')
    hasHeardForeign = true
  }

  async function mayListen(next: pg.Client): Promise<boolean> {
    const database = openDatabase({
      url: databaseUrl,
      applicationName: 'roundsman changes',
      schema,
      poolSize: 1,
      log,
    })
    try {
      return await isSession(next, database)
    } finally {
      await database.close()
    }
  }

  async function giveUpListening(of: pg.Client): Promise<void> {
    if (client !== of) return
    client = null
    log.warn(
      { everyMs: GAP_MS },
      'connections to this database do not last, as behind a transaction pooler: live pages read everything again every few seconds',
    )
    timer = setInterval(onGap, GAP_MS)
    await endClient(of, socketOf(of))
  }

  function scheduleProbe(of: pg.Client): void {
    if (client !== of) return
    timer = setTimeout(() => {
      of.query('select').then(
        () => scheduleProbe(of),
        (error: unknown) => lose(of, error as Error),
      )
    }, probeMs)
  }

  function lose(lost: pg.Client, error: Error): void {
    if (client !== lost) return
    client = null
    clearTimeout(timer)
    void endClient(lost, socketOf(lost))
    if (isClosed) return
    log.warn({ reason: error.message }, 'watching for changes interrupted, trying again')
    timer = setTimeout(() => void connect(), RETRY_MS)
  }

  void connect()
  return {
    isLasting: () => hasListened,
    async close() {
      isClosed = true
      clearTimeout(timer)
      const open = client
      client = null
      if (open) await endClient(open, socketOf(open))
    },
  }
}

/**
 * Reads the payload of a notification; undefined when it is no announcement, since anybody who can connect can notify.
 * PostgreSQL bounds it to 8,000 bytes.
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
