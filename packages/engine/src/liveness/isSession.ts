import type pg from 'pg'
import type { Connection } from '../store/database.ts'

/** How long to wait for the notification that proves a session. */
const PROBE_MS = 2_000

/**
 * Whether settings stay with a connection: it listens there, and notifies from another connection. Behind a transaction
 * pooler, the server connection that listens serves somebody else a moment later.
 */
export async function isSession(client: pg.Client, database: Connection): Promise<boolean> {
  const channel = `roundsman_probe_${crypto.randomUUID().replaceAll('-', '')}`
  let timer: NodeJS.Timeout | undefined
  let onNotification: (message: pg.Notification) => void = () => undefined
  try {
    await client.query(`listen ${channel}`)
    const heard = new Promise<boolean>((resolve) => {
      onNotification = (message) => message.channel === channel && resolve(true)
      client.on('notification', onNotification)
      timer = setTimeout(() => resolve(false), PROBE_MS)
    })
    await database.query(`select pg_notify($1, '')`, [channel])
    const isHeard = await heard
    // A lost connection hears nothing either, and fails here.
    await client.query(`unlisten ${channel}`)
    return isHeard
  } finally {
    clearTimeout(timer)
    client.off('notification', onNotification)
  }
}
