import pg from 'pg'

const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
await client.connect()
await client.query(`
  create table orders (id serial primary key, item text not null);
  create table bakers (name text primary key, password text not null, is_owner boolean not null)`)
await client.end()
