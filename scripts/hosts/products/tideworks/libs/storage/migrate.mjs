// The files that `prisma migrate` has written, in order, each once.
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'

const folder = new URL('prisma/migrations/', import.meta.url)
const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
await client.connect()
await client.query('create table if not exists applied_migrations (name text primary key)')
for (const name of (await readdir(folder)).sort()) {
  const { rowCount } = await client.query('select from applied_migrations where name = $1', [name])
  if (rowCount) continue
  await client.query(await readFile(new URL(`${name}/migration.sql`, folder), 'utf8'))
  await client.query('insert into applied_migrations values ($1)', [name])
}
await client.end()
