import { findPooler } from '@roundsman/engine/internal'
import type { Finding } from './finding.ts'

/** Reports a database address with which no worker can start. */
export async function checkPooler(databaseUrl: string): Promise<Finding[]> {
  const remedy = await findPooler(databaseUrl)
  if (remedy === null) return []
  return [
    {
      severity: 'error',
      code: 'transaction_pooler',
      job: null,
      problem:
        'the database is reached through a pooler in transaction mode, which keeps no lock for a worker, so that none starts',
      remedy,
    },
  ]
}
