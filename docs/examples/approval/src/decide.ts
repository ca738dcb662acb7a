import type { JobsClient } from '@roundsman/engine/client'
import type { Pool } from 'pg'
import { decided } from './jobs/index.js'

export async function decide(
  pool: Pool,
  jobsClient: Pick<JobsClient, 'signal'>,
  claimId: string,
  { by, isApproved }: { by: string; isApproved: boolean },
): Promise<'stored' | 'duplicate'> {
  const tx = await pool.connect()
  try {
    await tx.query('begin')
    await tx.query('insert into clicks values ($1, $2)', [claimId, by])
    const outcome = await jobsClient.signal(tx, decided, {
      key: claimId,
      id: by,
      payload: { isApproved, by },
    })
    await tx.query('commit')
    return outcome
  } catch (error) {
    await tx.query('rollback')
    throw error
  } finally {
    tx.release()
  }
}
