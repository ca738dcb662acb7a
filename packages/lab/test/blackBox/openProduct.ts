import { createDatabaseClient } from '@roundsman/db'
import { openTestJobs } from '@roundsman/engine/testing'
import { createTestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { handlers, jobs } from './fixtures/product.ts'

/** Where the clock of a test stands at first: far from now, so that recordings keep its instants. */
export const START = new Date('2090-03-06T05:06:07.000Z')

export const later = (seconds: number) => new Date(START.getTime() + seconds * 1_000)

export const by = { actor: 'ada@example.com', reason: 'a case' }

/** Opens a database, the product in it by a clock that stands still, and clients of its own. */
export async function openProduct() {
  const { url, drop } = await createTestDatabase({ migrated: false })
  const pool = new pg.Pool({ connectionString: url, max: 5 })
  pool.on('error', () => undefined)
  const test = await openTestJobs({ databaseUrl: url, client: pool, jobs, handlers, now: START })
  const prisma = createDatabaseClient({
    url,
    applicationName: 'black box',
    onPoolError: () => undefined,
  })
  return {
    url,
    pool,
    prisma,
    test,
    /** Works in a transaction of the host's, and commits it. */
    inTransaction: <Value>(work: (tx: pg.PoolClient) => Promise<Value>) =>
      inTransaction(pool, work),
    async close() {
      await test.close()
      await prisma.$disconnect()
      await pool.end()
      await drop()
    },
  }
}

export async function inTransaction<Value>(
  pool: pg.Pool,
  work: (tx: pg.PoolClient) => Promise<Value>,
): Promise<Value> {
  const tx = await pool.connect()
  try {
    await tx.query('begin')
    const value = await work(tx)
    await tx.query('commit')
    return value
  } catch (error) {
    await tx.query('rollback')
    throw error
  } finally {
    tx.release()
  }
}
