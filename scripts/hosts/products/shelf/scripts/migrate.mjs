import postgres from 'postgres';

const sql = postgres(process.env.DATABASE_URL ?? '');
await sql`create table books (id serial primary key, title text not null)`;
await sql`create table readers (
  name text primary key, password text not null, is_librarian boolean not null)`;
await sql.end();
