import { describe, expect, it } from 'vitest'
import type { Envelope } from '../../src/queue/envelope.ts'
import type { Connection } from '../../src/database/database.ts'
import { insertWork, type WorkToInsert } from '../../src/queue/insertWork.ts'
import { explainPlan } from '../explainPlan.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: [] })

const work = (name: string, more: Partial<WorkToInsert> = {}): WorkToInsert => {
  const { payload = { text: `it's "quoted", {braced} and \\ escaped` } } = more.envelope ?? {}
  const bytes = Buffer.byteLength(JSON.stringify(payload))
  const envelope: Envelope = { trigger: 'queue', ...more.envelope, payload }
  return { id: crypto.randomUUID(), name, bytes, ...more, envelope }
}
const inTransaction = <Value>(run: (tx: Connection) => Promise<Value>) =>
  runtime.database.transaction(run)

const READ_SQL = `
  select work.*, "place" is not null as "hasPlace", "dueAt" = now()::timestamptz(3) as "isDue",
    "enqueuedAt" = now()::timestamptz(3) as "isNew", long."payload" as "long"
  from "JobWork" work left join "JobPayload" long on long."id" = work."payloadId"`

/** Inserts a piece, by itself and as one of two, and returns its row. */
async function inserted(piece: WorkToInsert): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = []
  for (const pieces of [[piece], [piece, work('beside')]]) {
    const read = await inTransaction(async (tx) => {
      const { transactionId } = await insertWork(tx, pieces)
      const id = await tx.query<{ id: string }>('select pg_current_xact_id()::text as "id"')
      expect(transactionId).toBe(id.rows[0]?.id)
      return await tx.query<Record<string, unknown>>(`${READ_SQL} where "name" = $1`, [piece.name])
    })
    rows.push(...read.rows)
    await runtime.clear()
  }
  return rows
}

const PLAIN = {
  name: 'plain',
  rank: 0,
  hasPlace: true,
  isDue: true,
  isNew: true,
  attempt: 1,
  failures: 0,
  losses: 0,
  lossesAlone: 0,
  needs: 0,
  uniqueKey: null,
  key: null,
  label: null,
  facts: null,
  long: null,
}

describe('insertWork', () => {
  it.each([
    ['one piece', [work('plain')]],
    ['many pieces', [work('plain'), work('plain')]],
    [
      'a long payload',
      [work('plain', { envelope: { trigger: 'queue', payload: 'x'.repeat(2_000) } })],
    ],
  ])(
    'reads no table of ours for work without a unique key, whose statistics may be missing: %s',
    async (_, pieces) => {
      const asked: unknown[][] = []
      await insertWork(
        {
          schema: runtime.database.schema,
          query: (statement, values = []) => {
            asked.push([statement, values])
            return runtime.database.query<never>(statement, values)
          },
        },
        pieces,
      )
      const [[text, values]] = asked as [[string, unknown[]]]
      await runtime.clear()
      const nodes = await explainPlan(runtime, text, values)
      const read = nodes.filter((node) => node['Node Type'] !== 'ModifyTable')
      expect(read.flatMap((node) => node['Relation Name'] ?? [])).toEqual([])
    },
  )

  it('says of most work only what it is, and when it came', async () => {
    const piece = work('plain')
    const rows = await inserted(piece)
    expect(rows).toHaveLength(2)
    const { id, bytes, envelope } = piece
    for (const row of rows)
      expect(row).toMatchObject({ ...PLAIN, id, bytes, payload: envelope.payload })
  })

  it('says what else is known of it', async () => {
    const facts = {
      trigger: 'schedule' as const,
      scheduledFor: '2026-05-01T12:01:00.000Z',
      shown: { n: 1, text: `it's "two"` },
    }
    const envelope: Envelope = { ...facts, label: `a "label"`, payload: { n: 1 } }
    const piece = work('plain', { envelope, priority: 7, uniqueKey: `it's "one"` })
    for (const row of await inserted(piece))
      expect(row).toMatchObject({ label: 'a "label"', facts, rank: -7, uniqueKey: `it's "one"` })
  })

  it.each([null, 0, false, '', [], {}, 'null'])('keeps %j', async (payload) => {
    const [one, ofTwo] = await inserted(work('plain', { envelope: { payload, trigger: 'queue' } }))
    expect([one?.payload, ofTwo?.payload]).toEqual([payload, payload])
  })

  it('keeps nothing of a payload of which JSON has nothing', async () => {
    const envelope = { payload: undefined, trigger: 'queue' } as const
    for (const count of [1, 2]) {
      const pieces = Array.from({ length: count }, () => ({ ...work('void'), envelope, bytes: 0 }))
      await insertWork(runtime.database, pieces)
      const rows = await runtime.rows('select from "JobWork" where "payload" is null')
      expect(rows).toHaveLength(count)
      await runtime.clear()
    }
  })

  it('gives no place to what is not due, and one to what was due long ago', async () => {
    const startAfter = new Date('2099-02-03T04:05:06.789Z')
    for (const row of await inserted(work('later', { startAfter })))
      expect(row).toMatchObject({ hasPlace: false, dueAt: startAfter })
    const before = new Date('2001-02-03T04:05:06.789Z')
    for (const row of await inserted(work('now', { startAfter: before })))
      expect(row).toMatchObject({ hasPlace: true, isDue: true })
  })

  it.each([1_000, 1_001])('puts payloads apart that would be long to move: %d', async (bytes) => {
    const payload = 'x'.repeat(bytes - 2)
    const uniqueKeys = [undefined, 'k']
    for (const uniqueKey of uniqueKeys) {
      const envelope: Envelope = { payload, trigger: 'queue' }
      for (const row of await inserted(work('long', { envelope, uniqueKey })))
        expect(row).toMatchObject(
          bytes > 1_000 ? { payload: null, long: payload } : { payload, long: null },
        )
    }
  })

  it('orders work as it is given, however much there is', async () => {
    for (const count of [5, 90, 500]) {
      // As ids are made: each is greater than the one before.
      const pieces = Array.from({ length: count }, (_, n) =>
        work('many', {
          id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
          ...(n % 3 === 0 && { uniqueKey: `key ${count - n}` }),
        }),
      )
      const byKey = pieces.toSorted((a, b) =>
        (a.uniqueKey ?? '~') < (b.uniqueKey ?? '~') ? -1 : 1,
      )
      await inTransaction((tx) => insertWork(tx, byKey))
      const rows = await runtime.rows<{ id: string }>('select "id" from "JobWork" order by "place"')
      expect(rows.map(({ id }) => id)).toEqual(pieces.map(({ id }) => id))
      await runtime.clear()
    }
  })

  it('inserts work of many jobs with one statement, and each key of a job once', async () => {
    const first = work('one', { uniqueKey: 'k' })
    const before = await insertWork(runtime.database, [first])
    expect([...before.holders]).toEqual([[first.id, first.id]])
    const longer: Envelope = { payload: 'x'.repeat(2_000), trigger: 'queue' }
    const refused = work('one', { uniqueKey: 'k', envelope: longer })
    const pieces = [refused, work('two', { uniqueKey: 'k' }), work('two'), work('three')]
    const { holders } = await insertWork(runtime.database, pieces)
    expect(Object.fromEntries(holders)).toEqual({
      [refused.id]: first.id,
      [pieces[1]!.id]: pieces[1]!.id,
    })
    const rows = await runtime.rows<{ id: string }>('select "id"::text as "id" from "JobWork"')
    expect(new Set(rows.map(({ id }) => id))).toEqual(
      new Set([first, ...pieces.slice(1)].map(({ id }) => id)),
    )
    expect(await runtime.rows('select from "JobPayload"')).toEqual([])
    expect(
      await runtime.rows('select "name", "workId"::text as "workId" from "JobUnique" order by 1'),
    ).toEqual([
      { name: 'one', workId: first.id },
      { name: 'two', workId: pieces[1]!.id },
    ])
  })

  it('begins no transaction in the database for what it leaves out', async () => {
    await insertWork(runtime.database, [work('one', { uniqueKey: 'k' })])
    const again = await insertWork(runtime.database, [work('one', { uniqueKey: 'k' })])
    expect(again.transactionId).toBeNull()
    expect(await insertWork(runtime.database, [])).toMatchObject({ transactionId: null })
  })
})
