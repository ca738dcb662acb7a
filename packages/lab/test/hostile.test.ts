// Not quick: starts processes.
import { createTestDatabase } from '@roundsman/testing'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { DEADLY, drawOutcome } from '../src/hostile/drawOutcome.ts'
import { CELLS, SHORT_FORM as SHORT_CELLS } from '../src/hostile/matrixCells.ts'
import { renderHostile } from '../src/hostile/renderHostile.ts'
import { runHostile } from '../src/hostile/runHostile.ts'
import { runMatrix } from '../src/hostile/runMatrix.ts'

const SHORT_FORM = { seed: 1, outcomes: 300, deadly: 0 }

describe('what is drawn, in its short form', () => {
  it('harms nothing but itself', async () => {
    const database = await createTestDatabase({ migrated: false })
    onTestFinished(() => database.drop())
    const events: string[] = []
    const result = await runHostile(SHORT_FORM, {
      databaseUrl: database.url,
      signal: new AbortController().signal,
      onProgress: (message) => events.push(message),
      onEvent: (event) => events.push(event.slice(0, 500)),
    })

    const failed = result.checks.filter(({ isPassed }) => !isPassed)
    expect(failed, events.slice(-100).join('\n')).toEqual([])
    expect(renderHostile([result], [])).toContain('pnpm hostile --seed 1 --outcomes 300 --deadly 0')
  }, 300_000)
})

describe('hosts and roles, a handful', () => {
  it('hold', async () => {
    const cells = CELLS.filter(({ name }) => (SHORT_CELLS as readonly string[]).includes(name))
    expect(cells).toHaveLength(SHORT_CELLS.length)
    const results = await runMatrix(cells, {
      adminUrl: inject('testServer').adminUrl,
      signal: new AbortController().signal,
      onCell: () => undefined,
    })

    expect(results.filter(({ problem }) => problem !== null)).toEqual([])
  }, 300_000)
})

describe('a seed', () => {
  const draw = (seed: number) =>
    Array.from({ length: 500 }, (_, number) => {
      const { kind, ends } = drawOutcome(seed, number)
      return `${kind} ${ends}`
    })

  it('names the same outcomes each time, and another seed others', () => {
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('draws every kind, none of which ends a process', () => {
    const kinds = new Set(
      Array.from({ length: 3_000 }, (_, number) => drawOutcome(7, number).kind as string),
    )
    expect(kinds.size).toBe(11)
    expect(DEADLY.filter(({ kind }) => kinds.has(kind))).toEqual([])
  })
})
