import type { HandlersFor, TransactionOf } from '@roundsman/engine'
import type { Pool } from 'pg'
import { importRow, type jobs } from './index.js'

export type CreateCustomer = (email: string, idempotencyKey: string) => Promise<string>

export function createHandlers(
  pool: Pool,
  createCustomer: CreateCustomer,
): HandlersFor<typeof jobs, TransactionOf<Pool>> {
  return {
    async importRow({ payload: { importId, email } }) {
      return { customerId: await createCustomer(email, `${importId} ${email}`) }
    },
    async importRows({ payload: { importId }, step }) {
      const emails = await step.run('read', async () => {
        const { rows } = await pool.query<{ content: string }>(
          'select content from imports where id = $1',
          [importId],
        )
        return (rows[0]?.content ?? '').split('\n').filter((line) => line !== '')
      })
      const payloads = emails.map((email) => ({ importId, email }))
      const imported = await step.map('rows', importRow, payloads, { onFailure: 'collect' })
      const failed: string[] = []
      let at = 0
      for await (const one of imported.results()) {
        if (one.status === 'failed') failed.push(`${emails[at]}: ${one.code}`)
        at++
      }
      await step.tx('report', async (tx, { count }) => {
        await tx.query('update imports set report = $2 where id = $1', [
          importId,
          failed.join('\n'),
        ])
        count({ imported: imported.succeeded, failed: imported.failed })
      })
    },
  }
}
