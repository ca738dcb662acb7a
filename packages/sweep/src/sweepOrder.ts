import type { Transaction } from './transaction.ts'
import type { Sql } from './sql.ts'

/** Cuts what is due into batches. */
export interface SweepOrder {
  /** What to change next, about so many rows. Called in the transaction that will change them. */
  next(tx: Transaction, rows: number): Promise<NextRows>
  /** How many rows the last condition has changed. */
  changed(rows: number): void
  /** Whether it is known without asking that there is nothing more. */
  isOver(): boolean
}

export type NextRows =
  /** A condition that they meet; all of them are due. */
  { kind: 'rows'; where: Sql } | { kind: 'end' }
