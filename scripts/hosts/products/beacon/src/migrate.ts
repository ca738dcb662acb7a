import { pool } from './database.ts'

await pool.query(`
  create table if not exists subscribers (
    id bigint generated always as identity primary key,
    email text not null unique,
    welcomed_at timestamptz,
    created_at timestamptz not null default now()
  )`)
await pool.end()
