// Processes: runs workers that what they carry out may end.
import { createTestDatabase } from '@roundsman/testing'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { CELLS, SHORT_FORM as SHORT_CELLS } from '../../src/hostile/matrixCells.ts'
import { renderHostile } from '../../src/hostile/renderHostile.ts'
import { runHostile } from '../../src/hostile/runHostile.ts'
import { PARTS } from '../../src/hostile/parts.ts'
import { runMatrix } from '../../src/hostile/runMatrix.ts'

const SHORT_FORM = { seed: 1, outcomes: 300, deadly: 0 }

describe('what is drawn, in its short form', () => {
  it('harms nothing but itself', async ({ signal }) => {
    const database = await createTestDatabase({ migrated: false })
    onTestFinished(() => database.drop())
    const events: string[] = []
    const result = await runHostile(SHORT_FORM, {
      databaseUrl: database.url,
      signal,
      onProgress: (message) => events.push(message),
      onEvent: (event) => events.push(event.slice(0, 500)),
    })

    const failed = result.checks.filter(({ isPassed }) => !isPassed)
    expect(failed, events.slice(-100).join('\n')).toEqual([])
    expect(renderHostile([result], [], null)).toContain(
      'pnpm hostile --seed 1 --outcomes 300 --deadly 0',
    )
  }, 300_000)
})

describe('hosts and roles, a handful', () => {
  it('hold', async ({ signal }) => {
    const cells = CELLS.filter(({ name }) => (SHORT_CELLS as readonly string[]).includes(name))
    expect(cells).toHaveLength(SHORT_CELLS.length)
    const results = await runMatrix(cells, {
      adminUrl: inject('testServer').adminUrl,
      signal,
      onProgress: () => undefined,
    })

    expect(results.filter(({ problem }) => problem !== null)).toEqual([])
  }, 300_000)
})

describe('a few draws', () => {
  it.for([
    ['workers that define schedules differently come and go: no due tick is left', 'fleets', 10],
    ['numbers and instants are at their limits: the worker does what is due', 'numbers', 15],
    ['another session locks rows and tables: all work ends once, as told', 'locks', 3],
  ] as const)('%s', { timeout: 300_000 }, async ([, part, count], { signal }) => {
    const { adminUrl } = inject('testServer')
    const { problems, figures } = await PARTS[part].run({ seed: 1, count }, { adminUrl, signal })
    expect(problems).toEqual([])
    expect(figures).not.toMatch(/\b0 (pieces|rows|workers)/)
  })
})
