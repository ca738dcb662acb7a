import { beforeEach, expect, it } from 'vitest'
import { createRunMetrics } from '../../src/metrics.ts'
import type { RunEnding, WorkerObserver } from '../../src/worker.ts'
import { openTarget } from './openTarget.ts'
import { OBSERVED_RUN } from '../observedRun.ts'

const JOB = OBSERVED_RUN.name
const RUN = OBSERVED_RUN

let render: () => Promise<string>
let observer: WorkerObserver
beforeEach(() => {
  const metrics = openTarget()
  observer = createRunMetrics(metrics.target, [JOB])
  render = metrics.render
})

/** The value of a series. Its labels must be written as they are rendered, without the one that all have. */
async function valueOf(series: string): Promise<number | undefined> {
  const lines = (await render())
    .replaceAll(/,app="worker"|app="worker",?/g, '')
    .replaceAll('{}', '')
  const line = lines.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

const begin = () => {
  const observation = observer.runStarted?.(RUN)
  if (!observation) throw new Error('It takes no notice of runs')
  return observation
}
const run = (end: RunEnding) => begin().ended?.(end)
const failed = (code: string): RunEnding => ({
  kind: 'failed',
  durationMs: 2_000,
  details: null,
  code,
})

it('counts runs by job, outcome and reason, of which there is a closed set', async () => {
  run({ kind: 'success', durationMs: 40, details: null })
  run(failed('timeout'))
  run(failed('smtp_unavailable'))
  run(failed('P2024'))
  const runs = (labels: string) => valueOf(`roundsman_job_runs_total{job_name="${JOB}",${labels}}`)
  expect(await runs('outcome="success",reason=""')).toBe(1)
  expect(await runs('outcome="failed",reason="timeout"')).toBe(1)
  expect(await runs('outcome="failed",reason="handler"')).toBe(2)
  expect(await render()).not.toMatch(/smtp_unavailable|P2024/)
})

it('has no more series after a thousand codes, whatever they are', async () => {
  const seriesOf = async () =>
    (await render()).split('\n').filter((line) => line.startsWith('roundsman_job_runs_total'))
      .length
  run(failed('handler_made_this_up'))
  const before = await seriesOf()
  for (let nth = 0; nth < 1_000; nth++) run(failed(`order ${nth}\n"} 1`))
  expect(await seriesOf()).toBe(before)
})

it.each([
  'details_too_large',
  'details_unstorable',
  'counts_invalid',
  'handler_crashed',
  'handlers_module_failed',
  'handler_missing',
])('counts %s, which is a code of the engine, by itself', async (code) => {
  const series = `roundsman_job_runs_total{job_name="${JOB}",outcome="failed",reason="${code}"}`
  expect(await valueOf(series)).toBe(0)
  run(failed(code))
  expect(await valueOf(series)).toBe(1)
})

it('measures how long they took, in seconds', async () => {
  run({ kind: 'success', durationMs: 40, details: null })
  run(failed('timeout'))
  const duration = (rest: string) => valueOf(`roundsman_job_run_duration_seconds${rest}`)
  expect(await duration(`_sum{job_name="${JOB}",outcome="success"}`)).toBe(0.04)
  expect(await duration(`_bucket{le="0.025",job_name="${JOB}",outcome="success"}`)).toBe(0)
  expect(await duration(`_bucket{le="0.1",job_name="${JOB}",outcome="success"}`)).toBe(1)
  expect(await duration(`_count{job_name="${JOB}",outcome="failed"}`)).toBe(1)
})

it('says how many are under way', async () => {
  const [first, second] = [begin(), begin()]
  expect(await valueOf(`roundsman_job_runs_running{job_name="${JOB}"}`)).toBe(2)
  first.ended?.({ kind: 'lost', durationMs: 1 })
  second.ended?.({ kind: 'success', durationMs: 1, details: null })
  expect(await valueOf(`roundsman_job_runs_running{job_name="${JOB}"}`)).toBe(0)
})

it('counts a run that was lost once, by the worker that has ended it', async () => {
  run({ kind: 'lost', durationMs: 1 })
  const ended = (await render())
    .split('\n')
    .filter((line) => line.startsWith('roundsman_job_runs_total{'))
  expect(ended).toHaveLength(21)
  expect(ended.every((line) => line.endsWith(' 0'))).toBe(true)
  expect(await valueOf(`roundsman_job_runs_lost_total{job_name="${JOB}"}`)).toBe(1)
  observer.runRescued?.(RUN)
  expect(await valueOf(`roundsman_job_runs_rescued_total{job_name="${JOB}"}`)).toBe(1)
  const labels = `job_name="${JOB}",outcome="failed",reason="worker_lost"`
  expect(await valueOf(`roundsman_job_runs_total{${labels}}`)).toBe(1)
})

it('counts a run whose work was given out again, and not as one of a dead worker', async () => {
  observer.runExpired?.(RUN)
  const labels = `job_name="${JOB}",outcome="failed",reason="expired"`
  expect(await valueOf(`roundsman_job_runs_total{${labels}}`)).toBe(1)
  expect(await valueOf(`roundsman_job_runs_rescued_total{job_name="${JOB}"}`)).toBe(0)
})

it('counts ticks by outcome, with all that a row stands for, and how late they were decided', async () => {
  const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second))
  observer.ticksDecided?.(
    JOB,
    [
      { scheduledFor: at(0), outcome: 'missed', count: 40 },
      { scheduledFor: at(41), outcome: 'coalesced', count: 1 },
      { scheduledFor: at(42), outcome: 'enqueued', count: 1 },
    ],
    at(45),
  )
  const ticks = (outcome: string) =>
    valueOf(`roundsman_ticks_total{job_name="${JOB}",outcome="${outcome}"}`)
  expect(await ticks('missed')).toBe(40)
  expect(await ticks('enqueued')).toBe(1)
  expect(await valueOf(`roundsman_tick_lateness_seconds_sum{job_name="${JOB}"}`)).toBe(3)
})

it('measures how much is claimed and settled at once', async () => {
  observer.workClaimed?.(JOB, 30)
  observer.runsSettled?.(7)
  expect(await valueOf('roundsman_claim_size_sum')).toBe(30)
  expect(await valueOf('roundsman_settle_size_sum')).toBe(7)
})
