import { boolean, pgTable, serial, text } from 'drizzle-orm/pg-core';

export const books = pgTable('books', {
  id: serial('id').primaryKey(),
  title: text('title').notNull(),
});

export const readers = pgTable('readers', {
  name: text('name').primaryKey(),
  password: text('password').notNull(),
  isLibrarian: boolean('is_librarian').notNull(),
});
