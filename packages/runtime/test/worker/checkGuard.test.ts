import { describe, expect, it } from 'vitest'
import type { Guard, GuardCount } from '../../src/contract/index.ts'
import { checkGuard } from '../../src/worker/checkGuard.ts'

const MILLION = 1_000_000

/** So many rows, counted no further than asked for. */
function countOf(rows: { due: number; total: number }): GuardCount<null> {
  return { total: async () => rows.total, due: async (_, limit) => Math.min(rows.due, limit) }
}

const check = (guard: Guard, rows: { due: number; total: number }) =>
  checkGuard(null, guard, countOf(rows), null)

describe('checkGuard', () => {
  it('blocks too great a share of a table of whatever size', async () => {
    const checked = check({ maxShare: 0.9 }, { due: 95 * MILLION, total: 100 * MILLION })

    await expect(checked).rejects.toMatchObject({
      code: 'guard_blocked',
      details: { guard: { allowed: 90 * MILLION, total: 100 * MILLION } },
    })
  })

  it('lets as much pass as is allowed, however much that is', async () => {
    const rows = { due: 90 * MILLION, total: 100 * MILLION }

    expect(await check({ maxShare: 0.9 }, rows)).toEqual({
      guard: { ...rows, allowed: 90 * MILLION },
    })
  })

  it('counts beyond what is allowed, so that as many can be approved', async () => {
    await expect(
      check({ maxRows: 100 }, { due: 5 * MILLION, total: 9 * MILLION }),
    ).rejects.toMatchObject({ details: { guard: { due: 5 * MILLION, allowed: 100 } } })
  })
})
