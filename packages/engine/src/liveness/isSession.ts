import type pg from 'pg'
import type { Connection } from '../store/database.ts'

/** How long a notification may take that tells whether sessions work here. */
const PROBE_MS = 2_000

/**
 * Whether what is set on a connection stays with it: asked by listening on it and notifying from another.
 * Behind a transaction pooler the listening happens on a connection that is somebody else's a moment later.
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
    // A connection that was lost meanwhile hears nothing either: it fails here.
    await client.query(`unlisten ${channel}`)
    return isHeard
  } finally {
    clearTimeout(timer)
    client.off('notification', onNotification)
  }
}
