import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JobError, type Guard } from '../../src/index.ts'
import type { GuardCount } from '../../src/internal.ts'
import { checkGuard } from '../../src/run/checkGuard.ts'

const MILLION = 1_000_000

/** That many rows, counted no further than the guard asks. */
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

  it('lets so few pass uncounted, and blocks more where it is too great a share', async () => {
    const guard = { maxShare: 0.5, minRows: 30 }
    expect(await check(guard, { due: 30, total: 30 })).toEqual({})
    await expect(check(guard, { due: 31, total: 40 })).rejects.toMatchObject({
      details: { guard: { due: 31, allowed: 30, total: 40 } },
    })
  })

  it('counts beyond what is allowed, so that as many can be approved', async () => {
    await expect(
      check({ maxRows: 100 }, { due: 5 * MILLION, total: 9 * MILLION }),
    ).rejects.toMatchObject({ details: { guard: { due: 5 * MILLION, allowed: 100 } } })
  })
})

/** What the guard reports of a run that it did not refuse. */
const NUMBERS = { due: 1, allowed: 0, total: 1 }

describe('an estimate of the whole', () => {
  const situations = fc
    .record({
      total: fc.oneof(fc.nat(50), fc.nat(30 * MILLION)),
      dueShare: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.5, 1)),
      error: fc.double({ min: 0, max: 4, noNaN: true }),
      maxShare: fc.oneof(
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        fc.constantFrom(0.1, 0.3, 0.7, 0.9, 1),
      ),
      minRows: fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: undefined }),
      maxRows: fc.option(fc.integer({ min: 10_000, max: 30 * MILLION }), { nil: undefined }),
      approvedRows: fc.option(fc.nat(30 * MILLION), { nil: null }),
    })
    .map(({ dueShare, ...drawn }) => ({ ...drawn, due: Math.round(drawn.total * dueShare) }))

  it('blocks nothing that counting would let pass, nor the other way round where it errs by half', async () => {
    await fc.assert(
      fc.asyncProperty(situations, async (drawn) => {
        const { total, due, error, maxShare, minRows, maxRows, approvedRows } = drawn
        const guard: Guard = {
          maxShare,
          ...(minRows !== undefined && { minRows }),
          ...(maxRows !== undefined && { maxRows }),
        }
        const estimate = Math.round(total * error)
        const byShare = Math.max(minRows ?? 0, Math.floor(total * maxShare))
        const isAllowed = due <= Math.max(Math.min(maxRows ?? Infinity, byShare), approvedRows ?? 0)
        const checked = checkGuard(
          null,
          guard,
          {
            total: async (_, upTo) => (upTo === undefined ? estimate : Math.min(total, upTo)),
            due: async (_, limit) => Math.min(due, limit),
          },
          approvedRows,
        )
        const outcome = await checked.catch((refused: unknown) => refused)
        const refused = outcome instanceof JobError ? outcome : null
        expect(isAllowed && refused !== null).toBe(false)
        expect(!isAllowed && estimate <= 2 * total && refused === null).toBe(false)
        const told = refused?.details['guard'] as typeof NUMBERS | undefined
        const numbers = told ?? NUMBERS
        expect(numbers.due).toBeGreaterThan(numbers.allowed)
        expect(numbers.total).toBeGreaterThanOrEqual(numbers.due)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['a table that has just grown', { total: 4 * MILLION, estimate: 1_833_370 }],
    ['a table that nobody has looked at', { total: 4 * MILLION, estimate: 0 }],
    ['a table that has just shrunk', { total: 4 * MILLION, estimate: 6 * MILLION }],
  ])('of %s does not decide', async (_, { total, estimate }) => {
    const checkDue = (due: number) =>
      checkGuard(
        null,
        { maxShare: 0.9 },
        {
          total: async (__, upTo) => (upTo === undefined ? estimate : Math.min(total, upTo)),
          due: async (__, limit) => Math.min(due, limit),
        },
        null,
      )
    await expect(checkDue(2_000_006)).resolves.toMatchObject({ guard: { due: 2_000_006 } })
    await expect(checkDue(3_600_001)).rejects.toMatchObject({
      code: 'guard_blocked',
      details: { guard: { due: 3_600_001, allowed: 3_600_000, total } },
    })
  })
})
