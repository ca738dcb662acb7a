import type { Socket } from 'node:net'
import type pg from 'pg'

/** Maximum wait for a connection to end. One that lost its other end never would. */
const FAREWELL_MS = 1_000

/** Ends a connection permanently, and ignores all its later errors. */
export async function endClient(client: pg.Client, socket: Socket): Promise<void> {
  client.removeAllListeners()
  client.on('error', () => undefined)
  const timer = setTimeout(() => socket.destroy(), FAREWELL_MS)
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}
