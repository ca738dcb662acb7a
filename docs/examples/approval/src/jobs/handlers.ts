import type { HandlersFor, TransactionOf } from '@roundsman/engine'
import type { Pool } from 'pg'
import { decided, type jobs } from './index.js'

export type SendMail = (to: string, text: string, messageId: string) => Promise<void>

export function createHandlers(sendMail: SendMail): HandlersFor<typeof jobs, TransactionOf<Pool>> {
  return {
    async payOut({ payload: { claimId }, step }) {
      await step.run('ask', ({ key }) => sendMail('desk@example.com', `Claim ${claimId}?`, key))
      const answer = await step.waitFor('decision', decided, { key: claimId, timeout: { days: 7 } })
      if (answer === null || !answer.isApproved) {
        const by = answer?.by ?? 'nobody within a week'
        await step.tx('refuse', async (tx) => {
          await tx.query(`update claims set state = 'refused', decided_by = $2 where id = $1`, [
            claimId,
            by,
          ])
        })
        return
      }
      await step.tx('pay', async (tx) => {
        await tx.query(`update claims set state = 'paid', decided_by = $2 where id = $1`, [
          claimId,
          answer.by,
        ])
      })
    },
  }
}
