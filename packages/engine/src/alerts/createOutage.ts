import { randomUUID } from 'node:crypto'
import { REFUSES_WRITES } from '../judge/findDatabase.ts'
import { isConnectionLoss } from '../database/isConnectionLoss.ts'
import { isReadOnly } from '../database/sqlState.ts'
import type { AlertNotice, AlertRow } from './alert.ts'

export interface Outage {
  /** A look has failed with this error. */
  failed(error: unknown): Promise<void>
  /** A look has succeeded. */
  over(): Promise<void>
}

/**
 * Notifies channels that the database is away or refuses writes. Watchers cannot coordinate through rows then, so each process
 * notifies each channel once. `send` returns whether the channel has received it.
 */
export function createOutage(
  channels: readonly string[],
  afterMs: number,
  send: (channel: string, row: AlertRow, event: AlertNotice['event']) => Promise<boolean>,
): Outage {
  let open: { row: AlertRow; told: Set<string> } | null = null

  async function tell(
    { row, told }: NonNullable<typeof open>,
    event: AlertNotice['event'],
  ): Promise<void> {
    const wanted = channels.filter((name) => told.has(name) === (event === 'ended'))
    await Promise.all(
      wanted.map(async (name) => {
        if (await send(name, row, event)) told.add(name)
      }),
    )
  }

  return {
    async failed(error) {
      const refusesWrites = isReadOnly(error)
      if (!refusesWrites && !isConnectionLoss(error)) return
      const text = refusesWrites
        ? REFUSES_WRITES
        : 'The database does not answer, so nothing starts or ends.'
      open ??= {
        row: {
          ...{ id: randomUUID(), kind: 'database', name: '', code: '', facts: { text } },
          ...{ startedAt: new Date().toISOString(), endedAt: null },
        },
        told: new Set(),
      }
      if (Date.now() - Date.parse(open.row.startedAt) >= afterMs) await tell(open, 'began')
    },
    async over() {
      const ended = open
      open = null
      if (ended === null) return
      const row = { ...ended.row, endedAt: new Date().toISOString() }
      await tell({ ...ended, row }, 'ended')
    },
  }
}
