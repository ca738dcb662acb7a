import { sql } from 'drizzle-orm'
import { db } from './db'

await db.execute(sql`
  create table if not exists cooks (
    id serial primary key,
    name text not null unique,
    password text not null,
    is_chef boolean not null default false
  )`)
await db.execute(sql`
  create table if not exists items (
    id serial primary key,
    name text not null,
    amount integer not null,
    best_before date not null,
    labelled_at timestamptz,
    cook_id integer references cooks (id)
  )`)
await db.$client.end()
