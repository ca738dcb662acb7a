// The database is migrated by plain SQL files, which a DBA reviews.
const { readdirSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { Client } = require('pg')

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL })
  await client.connect()
  await client.query('create table if not exists applied_files (name text primary key)')
  const folder = join(__dirname, '../db')
  for (const name of readdirSync(folder).sort()) {
    const { rowCount } = await client.query('select from applied_files where name = $1', [name])
    if (rowCount) continue
    await client.query(readFileSync(join(folder, name), 'utf8'))
    await client.query('insert into applied_files values ($1)', [name])
  }
  await client.end()
}

void main()
