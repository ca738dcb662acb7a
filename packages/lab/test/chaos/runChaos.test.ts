// Processes: kills workers.
import { describe, expect, it } from 'vitest'
import { renderReport } from '../../src/chaos/renderReport.ts'
import { runChaos } from '../../src/chaos/runChaos.ts'

const SHORT_FORM = { seed: 5, kills: 10, jobs: 500, rows: 20_000, seconds: 12 }

describe('the suite in its short form', () => {
  it('breaks no guarantee', async ({ signal }) => {
    const events: string[] = []
    const result = await runChaos(SHORT_FORM, {
      signal,
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
