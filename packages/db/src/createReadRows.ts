import pg from 'pg'

export interface Statement {
  /** Under it a connection keeps the statement prepared, if connections last; always the same text. Default: it does not. */
  name?: string
  text: string
  values?: readonly unknown[]
}

/** Instants come as ISO 8601 in UTC with milliseconds, JSON as its value. */
export type ReadRows = <Row extends object>(statement: Statement) => Promise<Row[]>

const TIMESTAMPTZ = pg.types.builtins.TIMESTAMPTZ

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === TIMESTAMPTZ && format !== 'binary'
      ? toIso
      : (pg.types.getTypeParser(oid, format) as (text: string) => unknown),
}

/**
 * Reads past Prisma, on the same connections and outside of any transaction: for what is asked for so often that
 * making a query of Prisma's, and objects of its answer, costs more than the query.
 */
export function createReadRows(pool: pg.Pool, canPrepare: () => boolean): ReadRows {
  return async <Row extends object>({ name, text, values = [] }: Statement) => {
    const { rows } = await pool.query<Row>({
      text,
      values: [...values],
      types,
      ...(name !== undefined && canPrepare() && { name }),
    })
    return rows
  }
}

/** '2026-11-24 09:00:00.12+00' as '2026-11-24T09:00:00.120Z': a Date in between would cost most of the reading. */
function toIso(text: string): string {
  // Anything else: microseconds, years of five digits.
  if (text.length > 26 || !text.endsWith('+00') || text.charCodeAt(10) !== SPACE) {
    const parse = pg.types.getTypeParser(TIMESTAMPTZ) as (text: string) => Date
    return parse(text).toISOString()
  }
  const time = text.slice(11, -3)
  return `${text.slice(0, 10)}T${time.length === 8 ? `${time}.000` : time.padEnd(12, '0')}Z`
}

const SPACE = 32
