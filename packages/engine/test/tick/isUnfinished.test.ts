import { HOLD_RUNS_SQL } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { isUnfinishedSql } from '../../src/tick/isUnfinished.ts'
import { insertPieces, type TestPiece } from '../insertPieces.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: [] })
/** Whether work of `parcel` is unfinished, whose retries come after two minutes at most. `letter` never has any. */
async function isUnfinished(): Promise<boolean | undefined> {
  const rows = await runtime.rows<{ name: string; is: boolean }>(
    `select name, ${isUnfinishedSql('job.name', '120')} as "is" from unnest('{parcel,letter}'::text[]) job(name) order by 1`,
  )
  expect(rows[0]).toEqual({ name: 'letter', is: false })
  return rows[1]?.is
}

const insert = (piece: Omit<TestPiece, 'name'>) =>
  insertPieces(runtime.rows, [{ name: 'parcel', ...piece }])

describe('whether a job has unfinished work', () => {
  it('is not so when there is none', async () => {
    expect(await isUnfinished()).toBe(false)
  })

  const later = -60
  const muchLater = -600
  it.each<[string, Omit<TestPiece, 'name'>, boolean]>([
    ['is due', { state: 'waiting' }, true],
    ['is due and has lost its workers', { state: 'waiting', losses: 2, attempt: 3 }, true],
    ['is for later', { state: 'waiting', secondsAgo: later }, false],
    ['is to be retried', { state: 'waiting', secondsAgo: later, attempt: 2 }, true],
    [
      'was to be retried and is postponed',
      { state: 'waiting', secondsAgo: muchLater, attempt: 2 },
      false,
    ],
    ['runs', { state: 'active' }, true],
    ['is a dead letter', { state: 'failed' }, false],
  ])('with work that %s: %s', async (_, piece, expected) => {
    await insert(piece)
    expect(await isUnfinished()).toBe(expected)
  })

  it('is so with what has just become due, before it has a place', async () => {
    await insert({ state: 'waiting' })
    await runtime.rows('update "JobWork" set "place" = null')
    expect(await isUnfinished()).toBe(true)
  })

  it('is not so with work that has replaced what was tried, and is for later', async () => {
    await insert({ state: 'waiting', secondsAgo: later, attempt: 3 })
    await runtime.rows(`update "JobWork" set "facts" = '{"attemptsBefore": 2}'`)
    expect(await isUnfinished()).toBe(false)
  })

  it.each<Omit<TestPiece, 'name'>>([
    { state: 'waiting' },
    { state: 'waiting', losses: 2 },
    { state: 'waiting', secondsAgo: later, attempt: 2 },
    { state: 'active' },
  ])('is not so with dry runs that are %o, however many there are', async (piece) => {
    await insert(piece)
    await insert(piece)
    const facts = `'{"trigger": "manual", "dryRun": true}'::jsonb`
    await runtime.rows(`update "JobWork" set "facts" = ${facts}`)
    await runtime.rows(`update "JobClaim" set "facts" = array[${facts}]`)
    expect(await isUnfinished()).toBe(false)
    await insert({ state: 'waiting' })
    expect(await isUnfinished()).toBe(true)
  })

  it.each([
    ['that is under way', 'running', false, true],
    ['that only rehearses', 'running', true, false],
    ['that has ended', 'success', false, false],
  ])('with a run by hand %s', async (_, status, dryRun, expected) => {
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "dryRun")
       values (gen_random_uuid(), 'parcel', 'cli', 'somebody', 'running', $1)`,
      [dryRun],
    )
    await runtime.rows(HOLD_RUNS_SQL)
    await runtime.rows(
      `update "JobRun" set "status" = $1::"JobRunStatus", "endedAt" = case when $1 <> 'running' then now() end`,
      [status],
    )
    expect(await isUnfinished()).toBe(expected)
  })

  it('is found by indexes, beside much of other jobs that is for later', async () => {
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "place", "dueAt", "bytes", "payload")
       select gen_random_uuid(), 'bulk', null, now() + n * interval '1 second', 2, '{}' from generate_series(1, 50000) n`,
    )
    await insert({ state: 'waiting', secondsAgo: later })
    await runtime.rows('vacuum analyze "JobWork"')
    const [plan] = await runtime.rows<object>(
      `explain (analyze, format json) select ${isUnfinishedSql(`'parcel'`, '120')}`,
    )
    const text = JSON.stringify(plan)
    const reads = text.match(/"Relation Name":"JobWork"/g)
    const indexed = text.match(/"Index Name":"JobWork_\w+","Relation Name":"JobWork"/g)
    expect(indexed).toHaveLength(3)
    expect(reads).toHaveLength(3)
  })
})
