import { createHash } from 'node:crypto'

/**
 * Where the tables are. Everywhere else statements are written as if ours had no schema (`"JobRun"`, or
 * `roundsman."JobRun_pkey"` for what is no table or type) and pg-boss's were `pgboss`; only here they are given their real
 * ones. A connection does so with each statement that it sends.
 */
export interface Schema {
  readonly name: string
  /** Quoted. */
  readonly quoted: string
  /** pg-boss's, as its option takes it: ours too, but `pgboss` where ours is `public`. */
  readonly queue: string
  /** The statement with the real names. What it was told of a text, it keeps. */
  sql(text: string): string
  /** One of pg-boss's, which has its names. Absent: it stays as it is. */
  foreignSql?(text: string): string
  /** Of two schemas in one database, none hears the other. */
  channel(name: string): string
}

/** Where earlier versions have them, and this repository has. */
export const PUBLIC = 'public'
const DEFAULT_SCHEMA = 'roundsman'

/** Texts that are kept. Those of one program are a few hundred; the few that are made anew each time push none out for long. */
const MAX_KEPT = 1_000

/** @throws TypeError when PostgreSQL or pg-boss would not take the name, or cut it */
export function createSchema(name: string = DEFAULT_SCHEMA): Schema {
  const problem = findProblem(name)
  if (problem !== null) throw new TypeError(`schema: ${problem}; choose another name`)
  const quoted = `"${name}"`
  const queue = name === PUBLIC ? 'pgboss' : quoted
  // There they are found by the search_path, as earlier versions find them.
  const own = name === PUBLIC ? '' : `${quoted}.`
  const suffix =
    name === PUBLIC ? '' : `_${createHash('sha224').update(name).digest('hex').slice(0, 24)}`
  const kept = new Map<string, string>()
  return {
    name,
    quoted,
    queue,
    sql(text) {
      const known = kept.get(text)
      if (known !== undefined) return known
      const sql = text.replace(NAMES, (found) => {
        if (found.startsWith('"')) return own + found
        if (found === SEND_MARK) return `/* roundsman_send${suffix} */`
        return found === 'pgboss.' ? `${queue}.` : own
      })
      if (kept.size === MAX_KEPT) kept.clear()
      kept.set(text, sql)
      return sql
    },
    channel: (channel) => channel + suffix,
  }
}

/** Before a statement that the host's own connections may keep: see statementName. */
export const SEND_MARK = '/* roundsman_send */'

/** Our tables and types, and what stands for the two schemas. */
const NAMES =
  /(?<![."\w])"(?:Job[A-Z][A-Za-z]*|TickOutcome|WorkerLiveness)"|(?<![.\w])(?:pgboss|roundsman)\.|\/\* roundsman_send \*\//g

/**
 * The name under which a connection may keep an enqueueing statement, '' for any other: for the host's own client, whose
 * transactions it is sent in. With it, PostgreSQL plans it once for each connection, and enqueueing takes half as long.
 */
export function statementName(text: string): string {
  return /^\/\* (roundsman_send\w*) \*\//.exec(text)?.[1] ?? ''
}

/** pg-boss makes longer names of it, and writes it into the text of functions. */
const MAX_BYTES = 50

function findProblem(name: unknown): string | null {
  if (typeof name !== 'string' || name === '') return 'must be a name'
  const shown = JSON.stringify(name.slice(0, 100))
  if (Buffer.byteLength(name) > MAX_BYTES)
    return `${shown} is longer than ${MAX_BYTES} bytes, which is what pg-boss leaves of PostgreSQL's 63`
  if (/^pg_/i.test(name)) return `${shown} begins with pg_, which PostgreSQL keeps for itself`
  if (name === 'pgboss' || name === 'information_schema') return `${shown} is another's`
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (/["'%$.\\\u0000-\u001f\u007f\p{Surrogate}]/u.test(name))
    return `${shown} has a quotation mark, %, $, a full stop, a backslash or a control character in it`
  return null
}
