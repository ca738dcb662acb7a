import { pool } from './database.ts'

/** Returns the subscriber's id; null where somebody with this address is there already. */
export async function subscribe(email: string): Promise<string | null> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const { rows } = await client.query<{ id: string }>(
      'insert into subscribers (email) values ($1) on conflict do nothing returning id',
      [email],
    )
    const id = rows[0]?.id ?? null
    await client.query('commit')
    return id
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

export async function listSubscribers(): Promise<string[]> {
  const { rows } = await pool.query<{ email: string }>('select email from subscribers order by id')
  return rows.map(({ email }) => email)
}
