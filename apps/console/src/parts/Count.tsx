/** Writes a number with its thousands set apart; of one that is not counted to the end, that there may be more. */
export function Count({ value, isCut = false }: { value: number; isCut?: boolean }) {
  return `${value.toLocaleString('en')}${isCut ? ' or more' : ''}`
}

/** The server counts no further: of a job what is due, what is not, and dead letters, each by itself. */
export const MAX_COUNTED = 100_000

/** The server lists no more workers. */
export const MAX_LISTED_WORKERS = 1_000

/** Whether more of a job's work may wait than was counted. */
export function isWaitingCut({ waiting, delayed }: { waiting: number; delayed: number }): boolean {
  return Math.max(waiting - delayed, delayed) >= MAX_COUNTED
}
