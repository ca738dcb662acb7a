import { Socket } from 'node:net'
import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import { answerInTime } from '../database/answerInTime.ts'
import { connectionSettings } from '../database/connectionSettings.ts'
import { endClient } from '../database/endClient.ts'

export interface ListenerOptions {
  url: string
  applicationName: string
  answerTimeoutMs: number
  vanishedAfterMs?: number
  /** Interval of probes: a connection that lost its other end is as silent as an idle one. Default 15,000 ms. */
  probeMs?: number
  log: Pick<Logger, 'warn'>
}

interface Subscription {
  channel: string
  onNotification: (payload: string) => void
  onReconnect: () => void
}

interface Link {
  client: pg.Client
  socket: Socket
}

const PROBE_MS = 15_000
const RETRY_MS = 500

/**
 * Listens on a separate connection, which the first channel opens. While this process is busy, notifications pile up, and the
 * server may end the connection as if its other end had vanished. So nothing may depend on notifications.
 */
export function createListener(options: ListenerOptions) {
  const {
    url,
    applicationName,
    answerTimeoutMs,
    vanishedAfterMs,
    probeMs = PROBE_MS,
    log,
  } = options
  const subscriptions: Subscription[] = []
  let link: Link | null = null
  let opening: Link | null = null
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const ask = ({ client, socket }: Link, text: string) =>
    answerInTime(client.query(text), { timeoutMs: answerTimeoutMs, socket })

  async function connect(): Promise<void> {
    const socket = new Socket()
    const client = new pg.Client({
      ...connectionSettings(url, vanishedAfterMs === undefined ? {} : { vanishedAfterMs }),
      application_name: applicationName,
      stream: () => socket,
    })
    const next = { client, socket }
    opening = next
    // Until it listens, an error rejects the call, so that each failed try is reported once.
    client.on('error', (error) => lose(next, error))
    client.on('end', () => lose(next, new Error('the connection ended')))
    client.on('notification', ({ channel, payload = '' }) => {
      for (const subscription of subscriptions) {
        if (subscription.channel === channel) subscription.onNotification(payload)
      }
    })
    try {
      await client.connect()
      for (const { channel } of subscriptions) await ask(next, listenSql(channel))
    } catch (error) {
      await endClient(client, socket)
      throw error
    }
    opening = null
    if (stopped) await endClient(client, socket)
    else {
      link = next
      scheduleProbe(next)
    }
  }

  function scheduleProbe(of: Link): void {
    clearTimeout(timer)
    timer = setTimeout(() => probe(of), probeMs)
  }

  function probe(of: Link): void {
    clearTimeout(timer)
    // An empty statement.
    ask(of, '').then(
      () => link === of && scheduleProbe(of),
      (error: unknown) => lose(of, error as Error),
    )
  }

  function lose(lost: Link, error: Error): void {
    if (link !== lost) return
    link = null
    clearTimeout(timer)
    void endClient(lost.client, lost.socket)
    if (stopped) return
    log.warn({ reason: error.message }, 'listening interrupted, trying again')
    timer = setTimeout(() => void reconnect(), RETRY_MS)
  }

  async function reconnect(): Promise<void> {
    try {
      await connect()
    } catch {
      if (!stopped) timer = setTimeout(() => void reconnect(), RETRY_MS)
      return
    }
    if (stopped) return
    for (const subscription of subscriptions) subscription.onReconnect()
  }

  return {
    /** Resolves once it listens. Calls back on every notification, and after every reconnect, since some may have been missed. */
    async listen(
      channel: string,
      onNotification: Subscription['onNotification'],
      onReconnect: Subscription['onReconnect'],
    ): Promise<void> {
      const subscription = { channel, onNotification, onReconnect }
      subscriptions.push(subscription)
      try {
        if (subscriptions.length === 1) await connect()
        else if (link) await ask(link, listenSql(channel))
      } catch (error) {
        subscriptions.splice(subscriptions.indexOf(subscription), 1)
        throw error
      }
    },
    /** Another connection was lost silently: probes this one now. */
    doubt() {
      if (link) probe(link)
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      const open = link ?? opening
      link = null
      if (open) await endClient(open.client, open.socket)
    },
  }
}

function listenSql(channel: string): string {
  return `listen ${pg.escapeIdentifier(channel)}`
}
