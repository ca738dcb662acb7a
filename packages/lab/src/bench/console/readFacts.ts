import type pg from 'pg'
import { LIVING_WORKER } from '../fillRuns.ts'

interface FoundRun {
  id: string
  name: string
  workerId: string
  startedAt: string
}

/** What the database holds that is asked for, and what the console has to say of it. */
export interface Facts {
  /** A label that several runs may have. */
  customer: string
  /** In many labels, and none of its own. */
  partOfLabel: string
  /** The label of one run, of the first tenth of the history. */
  oldInvoice: string
  oldRun: FoundRun
  /** By an error with a stack, a cause and log lines. */
  failed: FoundRun
  /** The minute half-way back through the history, and an hour later. */
  middle: string
  afterMiddle: string
  /** Of the piece of work that is due last. */
  waitingLabel: string
  /** As the console writes it. */
  deadLetters: string
}

export async function readFacts(client: pg.Client): Promise<Facts> {
  const one = async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) => {
    const { rows } = await client.query<Row>(text, values)
    if (rows[0] === undefined) throw new Error(`Nothing was filled in for: ${text}`)
    return rows[0]
  }
  const run = (where: string, direction: 'asc' | 'desc') =>
    one<{ id: string; name: string; workerId: string; startedAt: Date; label: string }>(
      `select "id", "name", "workerId", "startedAt", "label" from "JobRun" where ${where}
       order by "startedAt" ${direction}, "id" ${direction} limit 1`,
    )
  const count = async (table: string) =>
    (await one<{ count: number }>(`select count(*)::int as "count" from "${table}"`)).count
  const found = ({ id, name, workerId, startedAt }: Awaited<ReturnType<typeof run>>): FoundRun => ({
    id,
    name,
    workerId,
    startedAt: startedAt.toISOString(),
  })
  const { label: customer } = await run(`"label" like 'customer %'`, 'desc')
  const old = await run(
    `"label" like 'invoice %' and "status" = 'success' and "workerId" <> '${LIVING_WORKER}'`,
    'asc',
  )
  const { from, to } = await one<{ from: Date; to: Date }>(
    `select min("startedAt") as "from", max("startedAt") as "to" from "JobRun"`,
  )
  const middleMs = Math.floor((from.getTime() + to.getTime()) / 120_000) * 60_000
  const waiting = await count('JobWork')
  const deadLetters = await count('JobDeadLetter')
  return {
    customer,
    partOfLabel: 'tomer 7',
    oldInvoice: old.label,
    oldRun: found(old),
    failed: found(await run(`"errorCode" = 'handler_failed'`, 'desc')),
    middle: new Date(middleMs).toISOString(),
    afterMiddle: new Date(middleMs + 3_600_000).toISOString(),
    waitingLabel: `customer ${waiting}`,
    deadLetters: deadLetters.toLocaleString('en'),
  }
}
