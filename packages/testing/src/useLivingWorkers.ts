import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'

/** Holds the locks of these workers while a file's tests run: those that have a row in JobWorker count as living. */
export function useLivingWorkers(url: () => string, ...ids: string[]): void {
  let client: pg.Client
  beforeAll(async () => {
    client = new pg.Client({ connectionString: url() })
    await client.connect()
    await client.query(
      'select pg_advisory_lock(hashtextextended(id, 0)) from unnest($1::text[]) id',
      [ids],
    )
  })
  afterAll(() => client.end())
}
