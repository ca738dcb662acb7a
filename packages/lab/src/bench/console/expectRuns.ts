import type pg from 'pg'

/** Which runs are wanted, as a condition on `run`. */
export type RunFilter =
  | string
  | {
      /** Default: all. */
      where?: string
      /** What no index holds, and is looked for among so many of the others as one look goes through. */
      looked: string
    }

export interface ExpectedRun {
  id: string
  /** What its row says. */
  texts: string[]
}

/** What the console says that one look goes through. */
const LOOKED_AT = 50_000

const WORDS: Readonly<Record<string, string>> = {
  cancelled: 'Cancelled',
  guard_blocked: 'Blocked',
  worker_lost: 'Worker lost',
  expired: 'Expired',
  drained: 'Given back',
}

/** A page of the list, as plain SQL has it. */
export async function expectRuns(
  client: pg.Client,
  filter: RunFilter,
  limit: number,
): Promise<ExpectedRun[]> {
  const { where = 'true', looked = null } = typeof filter === 'string' ? { where: filter } : filter
  const order = 'order by run."startedAt" desc, run."id" desc'
  const { rows } = await client.query<{
    id: string
    name: string
    label: string | null
    status: string
    trigger: string
    errorCode: string | null
  }>(
    `select run."id", run."name", run."label", run."status", run."trigger", run."errorCode" from (
       select * from "JobRun" run where ${where} ${looked === null ? '' : `${order} limit ${LOOKED_AT}`}
     ) run where ${looked ?? 'true'} ${order} limit ${limit}`,
  )
  return rows.map(({ id, name, label, status, trigger, errorCode }) => ({
    id,
    texts: [
      name,
      trigger,
      errorCode === null
        ? status === 'running'
          ? 'Running'
          : 'Success'
        : (WORDS[errorCode] ?? 'Failed'),
      ...(label === null ? [] : [label]),
      ...(errorCode === null ? [] : [errorCode]),
    ],
  }))
}

/** @throws where a row says anything else than its run does */
export function checkRows(expected: readonly ExpectedRun[], rows: readonly string[]): void {
  for (const [index, { id, texts }] of expected.entries()) {
    const row = rows[index] ?? ''
    const missing = texts.filter((text) => !row.includes(text))
    if (missing.length > 0)
      throw new Error(`The row of ${id} says "${row}", not ${missing.join(', ')}`)
  }
}
