import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { getOldestSnapshot } from '../../src/client.ts'
import { isSnapshotOld, nameSnapshotHolder } from '../../src/internal.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()

/** Leaves a transaction open in a session of its own, after these statements. */
async function leaveOpen(name: string, ...statements: string[]) {
  const session = new pg.Client({ connectionString: runtime.url, application_name: name })
  await session.connect()
  let isOpen = true
  const end = async () => {
    if (isOpen) await session.end()
    isOpen = false
  }
  for (const statement of ['begin', ...statements]) await session.query(statement)
  const [{ pid, since }] = (
    await session.query<{ pid: number; since: Date }>(
      `select pid, xact_start as since from pg_stat_activity where pid = pg_backend_pid()`,
    )
  ).rows as [{ pid: number; since: Date }]
  return {
    holder: { id: String(pid), who: name, since: since.toISOString() },
    end,
    [Symbol.asyncDispose]: end,
  }
}

const SNAPSHOT = ['set transaction isolation level repeatable read', 'select 1']

async function begin(transactions: number): Promise<void> {
  await runtime.rows(
    `do $$ begin for n in 1..${transactions} loop perform pg_current_xact_id(); commit; end loop; end $$`,
  )
}

describe('the oldest snapshot', () => {
  it('is that of the transaction which took one first, of those that still hold one', async () => {
    await using first = await leaveOpen('dump', ...SNAPSHOT)
    await begin(1)
    await using second = await leaveOpen('psql', ...SNAPSHOT)
    await begin(1)
    await using third = await leaveOpen('report', ...SNAPSHOT)
    await begin(1_000)
    const found = await getOldestSnapshot(runtime.reader)
    expect(found).toMatchObject({
      kind: 'session',
      state: 'idle in transaction',
      ...first.holder,
    })
    expect(found!.transactions).toBeGreaterThan(1_000)
    expect(found!.id).not.toBe(third.holder.id)
    await first.end()
    expect(await getOldestSnapshot(runtime.reader)).toMatchObject(second.holder)
  })

  it('may be that of a transaction which has only written, and is none of one that has ended its statements', async () => {
    await using writer = await leaveOpen('writer', 'select pg_current_xact_id()')
    await using idler = await leaveOpen('idler', 'select 1')
    await begin(10)
    expect(await getOldestSnapshot(runtime.reader)).toMatchObject(writer.holder)
    await writer.end()
    expect((await getOldestSnapshot(runtime.reader))?.id).not.toBe(idler.holder.id)
  })

  it('is nobody’s where nobody has any', async () => {
    // Sessions of the tests before may still be ending.
    const isNobodys = async () => (await getOldestSnapshot(runtime.reader)) === null
    expect(await waitFor(isNobodys)).toBe(true)
  })

  it.each([
    ['for ten minutes, while much went on', 600_000, 1_000, true],
    ['for less', 599_999, 1_000_000, false],
    ['while hardly anything went on', 86_400_000, 999, false],
  ])('is old when it was held %s', (_, heldMs, transactions, is) => {
    const now = new Date('2026-11-24T09:00:00Z')
    const since = new Date(now.getTime() - heldMs).toISOString()
    expect(isSnapshotOld({ since, transactions }, now)).toBe(is)
  })

  it('is old by its transactions where nobody can tell since when', () => {
    const now = new Date()
    expect(isSnapshotOld({ since: null, transactions: 99_999 }, now)).toBe(false)
    expect(isSnapshotOld({ since: null, transactions: 100_000 }, now)).toBe(true)
  })

  it('is named by what one has to end', () => {
    const of = { id: 'x', who: '', state: null, since: null, transactions: 1 }
    expect(
      nameSnapshotHolder({ ...of, kind: 'session', id: '4711', who: 'psql', state: 'active' }),
    ).toBe('pid 4711 (psql, active)')
    expect(nameSnapshotHolder({ ...of, kind: 'slot', state: 'inactive' })).toBe(
      'the replication slot x (inactive)',
    )
    expect(nameSnapshotHolder({ ...of, kind: 'prepared', who: 'ada' })).toBe(
      'the prepared transaction x (ada)',
    )
  })
})
