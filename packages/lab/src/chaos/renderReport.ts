import { tellCommit } from '@roundsman/testing/readCommit'
import { hasFailed, renderChecks, tellPassed } from '../checks.ts'
import { table, tableOfCounts } from '../markdown.ts'
import { repeatOf } from '../runCommand.ts'
import type { Distribution } from '../statistics.ts'
import type { ChaosResult } from './runChaos.ts'
import type { VanishResult } from './vanishMachine.ts'

/** A page for people about the runs. On another machine only its figures differ. */
export function renderReport(
  results: readonly ChaosResult[],
  vanished: VanishResult | null,
  commit: string | null,
): string {
  const [first] = results
  if (!first) throw new Error('There is nothing to report')
  const { kills, jobs, rows } = first.options
  return `# Chaos

Written by \`pnpm chaos\`: three worker processes on one PostgreSQL carry out ${jobs} queued jobs, four schedules by
the second and a clean-up of ${rows} rows, while a driver kills, freezes, cuts off and misleads them. What is done to them is
drawn from the seed: \`--kills ${kills} --jobs ${jobs} --rows ${rows} --seconds ${first.options.seconds}\`.
Measured at ${tellCommit(commit)}.

${table(
  [
    ...['seed', 'ran', 'checks passed', 'kills', 'runs that lost their worker'],
    ...['redelivered after, p50 / p99', 'taken over from the living'],
  ],
  results.map(tellSummary),
)}

"Redelivered" is from SIGKILL to the start of the next attempt, by PostgreSQL's clock, where there was a worker to notice: one
that had been up for 3.5 s before the kill and was neither killed nor disturbed for as long after it, with PostgreSQL up, since
a worker that has just connected rescues nothing for 2 s. "Taken over" are runs of workers that lived, but were cut off,
frozen or half-open: they could commit nothing more.

A worker whose clock is ahead of PostgreSQL's decides no tick more than a second early, and one that is behind leaves them to
the others.

${results.map(renderRun).join('\n')}
## A machine that vanishes

A worker in a network namespace of its own loses its link in the middle of a clean-up, while work is enqueued, and so
announced to it, twice a second. ${vanished === null ? 'Not tried: it takes root and iproute2 on Linux.' : `${vanished.isPassed ? 'Passed' : '**Failed**'}: ${describeVanishing(vanished)}.`}
`
}

export function describeVanishing(result: VanishResult): string {
  const { noticedMs, releasedMs, effects, markedAfterwards } = result
  const after = (ms: number | null) => (ms === null ? 'not in time' : `after ${seconds(ms)}`)
  return `its run was ended ${after(noticedMs)}, its last connection let go ${after(releasedMs)}; ${effects} pieces of other work were done meanwhile; ${markedAfterwards} rows were changed for the lost run once the link was back`
}

function tellSummary(result: ChaosResult): string[] {
  const { options, ranAt, disturbances, rescue, takenOver } = result
  const { count, p50Ms, p99Ms } = rescue.withRescuer.redelivered
  return [
    String(options.seed),
    `${ranAt.toISOString().slice(0, 16)}Z`,
    tellPassed(result),
    String(disturbances.get('SIGKILL') ?? 0),
    String(rescue.all.ended.count),
    count === 0 ? 'none' : `${p50Ms} ms / ${p99Ms} ms (${count} runs)`,
    String(takenOver),
  ]
}

function renderRun(result: ChaosResult): string {
  const { options, disturbances, fleet, rescue } = result
  const times = ({ count, p50Ms, p99Ms, maxMs }: Distribution) =>
    count === 0 ? ['0', '', '', ''] : [String(count), `${p50Ms} ms`, `${p99Ms} ms`, `${maxMs} ms`]
  return `## Seed ${options.seed}

${hasFailed(result) ? '**Checks failed.**' : 'Every check passed.'} It took ${seconds(result.totalMs)} in all. To repeat it: \`${repeatOf('chaos', { ...options })}\`.

${renderChecks(result)}

${tableOfCounts(['what', 'how often'], disturbances)}

${fleet.killsWhileStarting} of the kills hit a process that was only starting, the others one that was at work.

${fleet.started} worker processes were started; ${fleet.startFailures} could not start because PostgreSQL was out of reach, and were
started again.

${table(
  ['', 'runs', 'p50', 'p99', 'longest'],
  [
    ['run ended, with a worker there to notice', ...times(rescue.withRescuer.ended)],
    [
      'next attempt started, with a worker there to notice',
      ...times(rescue.withRescuer.redelivered),
    ],
    ['run ended, all kills', ...times(rescue.all.ended)],
    ['next attempt started, all kills', ...times(rescue.all.redelivered)],
  ],
)}

After the last disturbance the workers took ${seconds(result.drainMs)} to finish.

${tableOfCounts(['warning of a worker', 'lines'], fleet.warnings, 300)}
`
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
