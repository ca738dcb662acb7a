import type pg from 'pg'
import { answerInTime, socketOf } from '../store/answerInTime.ts'
import type { Connection } from '../store/database.ts'

/** How long to wait for the notification that proves a session. */
const PROBE_MS = 2_000
const ANSWER_TIMEOUT_MS = 5_000

/**
 * Whether settings stay with a connection: it listens there, and notifies from another connection. Behind a transaction
 * pooler, the server connection that listens serves somebody else a moment later.
 */
export async function isSession(client: pg.Client, database: Connection): Promise<boolean> {
  const channel = `roundsman_probe_${crypto.randomUUID().replaceAll('-', '')}`
  const ask = (text: string) =>
    answerInTime(client.query(text), { timeoutMs: ANSWER_TIMEOUT_MS, socket: socketOf(client) })
  let timer: NodeJS.Timeout | undefined
  let onNotification: (message: pg.Notification) => void = () => undefined
  try {
    await ask(`listen ${channel}`)
    const heard = new Promise<boolean>((resolve) => {
      onNotification = (message) => message.channel === channel && resolve(true)
      client.on('notification', onNotification)
      timer = setTimeout(() => resolve(false), PROBE_MS)
    })
    await database.query(`select pg_notify($1, '')`, [channel])
    const isHeard = await heard
    // A lost connection hears nothing either, and fails here.
    await ask(`unlisten ${channel}`)
    return isHeard
  } finally {
    clearTimeout(timer)
    client.off('notification', onNotification)
  }
}
