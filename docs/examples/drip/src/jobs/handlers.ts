import type { HandlersFor, TransactionOf } from '@roundsman/engine'
import type { Pool } from 'pg'
import type { jobs } from './index.js'

const LETTERS = [
  { item: 'welcome', days: 0 },
  { item: 'tips', days: 3 },
  { item: 'offer', days: 11 },
]

/** Your mail service. It drops a second letter with the same `messageId`. */
export type SendLetter = (letter: {
  to: string
  template: string
  messageId: string
  signal: AbortSignal
}) => Promise<void>

export function createHandlers(
  pool: Pool,
  sendLetter: SendLetter,
): HandlersFor<typeof jobs, TransactionOf<Pool>> {
  return {
    async drip({ payload: { userId }, step }) {
      for (const { item, days } of LETTERS) {
        await step.sleep('pause', { days }, { item })
        const to = await step.run(
          'address',
          async () => {
            const { rows } = await pool.query<{ email: string }>(
              'select email from users where id = $1 and wants_letters',
              [userId],
            )
            return rows[0]?.email ?? null
          },
          { item },
        )
        if (to === null) return
        await step.run(
          'letter',
          ({ key, signal }) => sendLetter({ to, template: item, messageId: key, signal }),
          { item },
        )
      }
    },
  }
}
