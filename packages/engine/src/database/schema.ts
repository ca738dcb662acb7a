import { createHash } from 'node:crypto'
import { checkSchemaName } from '../arguments/connection.ts'

/**
 * Where the tables are. Other code writes statements as if they had no schema: `"JobRun"`, or `roundsman."JobRun_pkey"` for
 * what is no table or type. Connections put in the real names.
 */
export interface Schema {
  readonly name: string
  /** The name as an identifier, in quotation marks. */
  readonly quoted: string
  /** Returns the statement with the real names. It keeps the result for each text. */
  sql(text: string): string
  /** The notification channel of this schema: two schemas in one database do not hear each other. */
  channel(name: string): string
}

/** Where this repository has the tables. */
export const PUBLIC = 'public'
const DEFAULT_SCHEMA = 'roundsman'

/**
 * A program sends a few hundred different texts. Others are made anew each time; when this many are kept, all are dropped.
 */
const MAX_KEPT = 1_000

/** @throws ArgumentError when PostgreSQL refuses the name, or would cut it short */
export function createSchema(name: string = DEFAULT_SCHEMA): Schema {
  checkSchemaName('schema', name)
  const quoted = `"${name}"`
  // In `public`, the search_path finds the tables.
  const own = name === PUBLIC ? '' : `${quoted}.`
  const suffix =
    name === PUBLIC ? '' : `_${createHash('sha224').update(name).digest('hex').slice(0, 24)}`
  const kept = new Map<string, string>()
  return {
    name,
    quoted,
    sql(text) {
      const known = kept.get(text)
      if (known !== undefined) return known
      const sql = text.replace(NAMES, (found) => {
        if (found.startsWith('"')) return own + found
        if (found.startsWith('/*')) return found.replace(' */', `${suffix} */`)
        return own
      })
      if (kept.size === MAX_KEPT) kept.clear()
      kept.set(text, sql)
      return sql
    },
    channel: (channel) => channel + suffix,
  }
}

/** Each begins a statement that a host's connection may prepare: see statementName. */
export const SEND_MARK = '/* roundsman_send */'
export const SEND_ONE_MARK = '/* roundsman_send_one */'
export const SEND_KEYED_MARK = '/* roundsman_send_keyed */'
export const SEND_PLAIN_MARK = '/* roundsman_send_plain */'

/** All tables, views, sequences and types. No column and no alias has a name of these. */
const OWN = [
  ...[
    'JobAction',
    'JobAlert',
    'JobAlertDelivery',
    'JobCancel',
    'JobChild',
    'JobChildLost',
    'JobClaim',
  ],
  ...['JobDeadLetter', 'JobFormerWorker', 'JobKey'],
  ...['JobKeyedVersion', 'JobLimit', 'JobLimitViolation', 'JobMigration'],
  ...['JobPayload', 'JobPlace', 'JobQueue'],
  ...['JobRun', 'JobRunAll', 'JobRunStatus'],
  ...[
    'JobSchedule',
    'JobSignal',
    'JobThrottle',
    'JobStep',
    'JobTick',
    'JobTrigger',
    'JobUnique',
    'JobWaiting',
  ],
  ...['JobWork', 'JobWorker', 'TickOutcome'],
].join('|')

/** What is ours, what stands for the schema, and the marks. */
const NAMES = new RegExp(
  String.raw`(?<![."\w])"(?:${OWN})"|(?<![.\w])roundsman\.|/\* roundsman_send(?:_one|_keyed|_plain)? \*/`,
  'g',
)

/**
 * The name under which a host's connection may prepare an enqueueing statement, or '' for any other statement. Prepared,
 * PostgreSQL plans it once for each connection, and enqueueing takes half as long.
 */
export function statementName(text: string): string {
  return /^\/\* (roundsman_send\w*) \*\//.exec(text)?.[1] ?? ''
}
