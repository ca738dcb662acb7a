// Processes: kills workers.
import { describe, expect, it } from 'vitest'
import { renderReport } from '../../src/chaos/renderReport.ts'
import { runChaos } from '../../src/chaos/runChaos.ts'

const SHORT_FORM = { seed: 5, kills: 10, jobs: 500, rows: 20_000, seconds: 12, beside: null }

/**
 * Commits before a change of the tables, or of what workers expect of each other. Their workers must go on working on
 * today's database beside today's, as in a rolling upgrade, and when that is rolled back.
 */
const EARLIER_VERSIONS = ['c3f9e0e2aca030fa7dce9700b9e51b507cb65112']

describe('the suite in its short form', () => {
  it('breaks no guarantee', async () => {
    const events: string[] = []
    const result = await runChaos(SHORT_FORM, {
      signal: new AbortController().signal,
      onProgress: (message) => events.push(message),
      onEvent: (event) => events.push(event),
    })

    const failed = result.checks.filter(({ isPassed }) => !isPassed)
    expect(failed, events.slice(-200).join('\n')).toEqual([])
    expect(result.disturbances.get('SIGKILL')).toBe(SHORT_FORM.kills)
    const report = renderReport([result], null, null)
    expect(report).toContain('Every check passed.')
    expect(report).toContain('pnpm chaos --seed 5 ')
  }, 260_000)

  it.each(EARLIER_VERSIONS)(
    'breaks no guarantee while workers of version %s run beside those of this one',
    async (beside) => {
      const events: string[] = []
      const result = await runChaos(
        { ...SHORT_FORM, beside },
        {
          signal: new AbortController().signal,
          onProgress: (message) => events.push(message),
          onEvent: (event) => events.push(event),
        },
      )

      const failed = result.checks.filter(({ isPassed }) => !isPassed)
      expect(failed, events.slice(-200).join('\n')).toEqual([])
      const { started, startedOfOther } = result.fleet
      expect(startedOfOther).toBeGreaterThan(0)
      expect(started - startedOfOther).toBeGreaterThan(0)
      expect(renderReport([result], null, null)).toContain(`--beside ${beside}`)
    },
    260_000,
  )

  it('ends by itself when it is stopped', async () => {
    const stop = new AbortController()
    const running = runChaos(SHORT_FORM, {
      signal: stop.signal,
      onProgress: (message) => message.startsWith('Disturbing') && stop.abort(new Error('stopped')),
      onEvent: () => undefined,
    })

    await expect(running).rejects.toThrow('stopped')
  }, 60_000)
})
