/**
 * A column that a piece of work takes along: from the queue into a claim, and from there to another attempt or a dead letter.
 */
interface Carried {
  readonly name: string
  /** The column of JobClaim with an element of it for each run. */
  readonly list: string
  readonly type: string
  /** Its constraint in the tables of work. */
  readonly constraint: string
  /** The value for which a null in a claim stands. */
  readonly absent: string
  /** Few pieces of work have another value than `absent`. A claim lists it only where one of them has. */
  readonly isRare: boolean
}

const number = (name: string, list: string, type: string, usual: number) => ({
  ...{ name, list, type, constraint: `NOT NULL DEFAULT ${usual}`, absent: String(usual) },
  isRare: true,
})
const optional = (name: string, list: string, type: string) => ({
  ...{ name, list, type, constraint: '', absent: 'null', isRare: true },
})

/** All of them but the payload, which is long: a statement reads it where it needs it. */
export const CARRIED: readonly Carried[] = [
  number('attempt', 'attempts', 'INTEGER', 1),
  // The priority, negated: work with a greater rank starts later.
  number('rank', 'ranks', 'INTEGER', 0),
  // How many attempts have cost one of the job's retries.
  number('failures', 'failures', 'INTEGER', 0),
  // How often its worker was lost while it ran, and how often of these while nothing else ran in the process.
  number('losses', 'losses', 'INTEGER', 0),
  number('lossesAlone', 'lossesAlone', 'INTEGER', 0),
  // The version of the engine that a worker needs to take it.
  number('needs', 'needs', 'SMALLINT', 0),
  // 1: its last run was suspended, so the next is no start. 0: it has memos. Null: it has none.
  optional('resumptions', 'resumptions', 'INTEGER'),
  optional('uniqueKey', 'uniqueKeys', 'TEXT'),
  optional('key', 'keys', 'TEXT'),
  optional('label', 'labels', 'TEXT'),
  // The rest of its envelope. Little work has any.
  optional('facts', 'facts', 'JSONB'),
  // The row of JobPayload that has the payload.
  optional('payloadId', 'payloadIds', 'UUID'),
  // The length of the payload's JSON.
  { ...number('bytes', 'bytes', 'INTEGER', 2), constraint: 'NOT NULL', isRare: false },
  {
    ...{ name: 'enqueuedAt', list: 'enqueuedAts', type: 'TIMESTAMPTZ(3)', absent: 'null' },
    ...{ constraint: 'NOT NULL DEFAULT CURRENT_TIMESTAMP', isRare: false },
  },
]

/** Names of columns, as SQL lists them. */
export const listColumns = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ')

const NAMES = CARRIED.map(({ name }) => name)

/** The columns of work that are carried, the payload with them. */
export const CARRIED_COLUMNS = listColumns([...NAMES, 'payload'])

/** Their values. Some change on the way. */
export const carriedValues = (changed: Readonly<Record<string, string>>) =>
  [...NAMES, 'payload'].map((name) => changed[name] ?? `"${name}"`).join(', ')
