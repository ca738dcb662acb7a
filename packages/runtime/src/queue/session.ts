import pg from 'pg'
import type { Logger } from 'pino'

export interface Session {
  start(): Promise<void>
  stop(): Promise<void>
  /** Null while the connection is down, and with it the lock that says that this worker lives. */
  connectedSince(): Date | null
  /** Calls back on every notification, and after every reconnect, when some may have been missed. */
  listen(
    channel: string,
    onNotification: (payload: string) => void,
    onReconnect: () => void,
  ): Promise<void>
}

export interface SessionOptions {
  url: string
  workerId: string
  log: Logger
  now: () => Date
}

/** How PostgreSQL keys the lock that a living worker holds. `$1` is the worker's id. */
const LIVENESS_KEY_SQL = 'hashtextextended($1, 0)'

const HEARTBEAT_MS = 5_000
const RECONNECT_MAX_MS = 5_000

interface Subscription {
  channel: string
  onNotification: (payload: string) => void
  onReconnect: () => void
}

/**
 * The one connection that a worker keeps for as long as it lives. It holds the advisory lock named after
 * the worker, which PostgreSQL lets go the moment the process dies, however it dies; and it listens, so
 * that work starts when it arrives. A process that is busy or blocked keeps it.
 */
export function createSession({ url, workerId, log, now }: SessionOptions): Session {
  const subscriptions: Subscription[] = []
  let client: pg.Client | null = null
  let connectedSince: Date | null = null
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let failures = 0

  async function connect(): Promise<void> {
    const next = new pg.Client({
      connectionString: url,
      application_name: `roundsman ${workerId}`,
      connectionTimeoutMillis: 5_000,
      // The heartbeat's own limit: a half-open connection must not be waited for.
      query_timeout: 10_000,
      keepAlive: true,
    })
    // Later failures come through here; those of connect() and query() through their promises as well.
    next.on('error', (error) => lose(next, error))
    next.on('end', () => lose(next, new Error('the connection ended')))
    next.on('notification', ({ channel, payload = '' }) => {
      for (const subscription of subscriptions) {
        if (subscription.channel === channel) subscription.onNotification(payload)
      }
    })
    try {
      await next.connect()
      await next.query(`select pg_advisory_lock(${LIVENESS_KEY_SQL})`, [workerId])
      for (const { channel } of subscriptions)
        await next.query(`listen ${pg.escapeIdentifier(channel)}`)
    } catch (error) {
      await discard(next)
      throw error
    }
    if (stopped) return discard(next)
    client = next
    connectedSince = now()
    failures = 0
    scheduleHeartbeat(next)
  }

  function lose(lost: pg.Client, error: Error): void {
    if (client !== lost) return
    client = null
    connectedSince = null
    clearTimeout(timer)
    void discard(lost)
    if (stopped) return
    log.warn({ err: error }, 'session lost, reconnecting')
    scheduleReconnect()
  }

  function scheduleReconnect(): void {
    timer = setTimeout(() => void reconnect(), Math.min(100 * 2 ** failures++, RECONNECT_MAX_MS))
  }

  async function reconnect(): Promise<void> {
    try {
      await connect()
    } catch (error) {
      log.warn({ err: error }, 'reconnecting the session failed')
      if (!stopped) scheduleReconnect()
      return
    }
    if (stopped) return
    log.info('session restored')
    for (const subscription of subscriptions) subscription.onReconnect()
  }

  function scheduleHeartbeat(current: pg.Client): void {
    timer = setTimeout(() => void beat(current), HEARTBEAT_MS)
  }

  async function beat(current: pg.Client): Promise<void> {
    try {
      await current.query('select 1')
      if (client === current) scheduleHeartbeat(current)
    } catch (error) {
      lose(current, error as Error)
    }
  }

  return {
    start: connect,
    async stop() {
      stopped = true
      clearTimeout(timer)
      const open = client
      client = null
      connectedSince = null
      if (open) await discard(open)
    },
    connectedSince: () => connectedSince,
    async listen(channel, onNotification, onReconnect) {
      subscriptions.push({ channel, onNotification, onReconnect })
      await client?.query(`listen ${pg.escapeIdentifier(channel)}`)
    },
  }
}

async function discard(client: pg.Client): Promise<void> {
  client.removeAllListeners()
  client.on('error', () => undefined)
  await client.end().catch(() => undefined)
}
