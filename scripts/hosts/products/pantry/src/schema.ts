import { boolean, date, integer, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'

export const cooks = pgTable('cooks', {
  id: serial('id').primaryKey(),
  name: text('name').notNull().unique(),
  password: text('password').notNull(),
  isChef: boolean('is_chef').notNull().default(false),
})

export const items = pgTable('items', {
  id: serial('id').primaryKey(),
  name: text('name').notNull(),
  amount: integer('amount').notNull(),
  bestBefore: date('best_before').notNull(),
  labelledAt: timestamp('labelled_at', { withTimezone: true }),
  cookId: integer('cook_id').references(() => cooks.id),
})
