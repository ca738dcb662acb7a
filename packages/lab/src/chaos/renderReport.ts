import { tellCommit } from '@roundsman/testing/readCommit'
import type { Distribution, RescueTimes } from './measureRescue.ts'
import type { ChaosResult } from './runChaos.ts'
import type { VanishResult } from './vanishMachine.ts'

/** A page for people about the runs. On another machine only its figures differ. */
export function renderReport(
  results: readonly ChaosResult[],
  vanish: VanishResult | null,
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

| seed | ran | checks passed | kills | runs that lost their worker | redelivered after, p50 / p99 | taken over from the living |
|---|---|---|---|---|---|---|
${results.map(renderSummary).join('\n')}

"Redelivered" is from SIGKILL to the start of the next attempt, by PostgreSQL's clock, where there was a worker to notice: one
that had been up for 3.5 s before the kill and was neither killed nor disturbed for as long after it, with PostgreSQL up, since
a worker that has just connected rescues nothing for 2 s. "Taken over" are runs of workers that lived, but were cut off,
frozen or half-open: they could commit nothing more.

A worker whose clock is ahead of PostgreSQL's decides no tick more than a second early, and one that is behind leaves them to
the others.

${results.map(renderRun).join('\n')}
## A machine that vanishes

A worker in a network namespace of its own loses its link in the middle of a clean-up, while work is enqueued, and so
announced to it, twice a second. ${vanish === null ? 'Not tried: it takes root and iproute2 on Linux.' : `${vanish.isPassed ? 'Passed' : '**Failed**'}: ${describeVanishing(vanish)}.`}
`
}

export function describeVanishing(result: VanishResult): string {
  const { noticedMs, releasedMs, effects, markedAfterwards } = result
  const after = (ms: number | null) => (ms === null ? 'not in time' : `after ${seconds(ms)}`)
  return `its run was ended ${after(noticedMs)}, its last connection let go ${after(releasedMs)}; ${effects} pieces of other work were done meanwhile; ${markedAfterwards} rows were changed for the lost run once the link was back`
}

export function hasFailed({ checks }: ChaosResult): boolean {
  return checks.some(({ isPassed }) => !isPassed)
}

function renderSummary(result: ChaosResult): string {
  const { options, ranAt, checks, disturbances, rescue, takenOver } = result
  const passed = checks.filter(({ isPassed }) => isPassed).length
  const { count, p50Ms, p99Ms } = rescue.withRescuer.redelivered
  const redelivered = count === 0 ? 'none' : `${p50Ms} ms / ${p99Ms} ms (${count} runs)`
  return `| ${options.seed} | ${ranAt.toISOString().slice(0, 16)}Z | ${passed} of ${checks.length} | ${disturbances.get('SIGKILL') ?? 0} | ${rescue.all.ended.count} | ${redelivered} | ${takenOver} |`
}

function renderRun(result: ChaosResult): string {
  const { options, checks, disturbances, fleet, rescue } = result
  const verdict = hasFailed(result) ? '**Checks failed.**' : 'Every check passed.'
  return `## Seed ${options.seed}

${verdict} It took ${seconds(result.totalMs)} in all. To repeat it: \`${repeatCommand(result)}\`.

| | guarantee | what holds | figures |
|---|---|---|---|
${checks.map((check) => `| ${check.isPassed ? 'PASS' : '**FAIL**'} | ${check.guarantee} | ${check.name} | ${check.figures} |`).join('\n')}

| what | how often |
|---|---|
${[...disturbances]
  .toSorted(([one], [other]) => one.localeCompare(other))
  .map(([kind, count]) => `| ${kind} | ${count} |`)
  .join('\n')}

${fleet.killsWhileStarting} of the kills hit a process that was only starting, the others one that was at work.

${fleet.started} worker processes were started${options.beside === null ? '' : `, ${fleet.startedOfOther} of them of version \`${options.beside}\``}; ${fleet.startedPooled} were behind a
transaction pooler, where a death is noticed after 30 s; ${fleet.startFailures} could not start because PostgreSQL was out of reach, and were
started again.

| | runs | p50 | p99 | longest |
|---|---|---|---|---|
${renderTimes('with a worker there to notice', rescue.withRescuer)}
${renderTimes('all kills', rescue.all)}

After the last disturbance the workers took ${seconds(result.drainMs)} to finish.

| warning of a worker | lines |
|---|---|
${[...fleet.warnings]
  .toSorted(([, one], [, other]) => other - one)
  .map(([message, count]) => `| ${message.replaceAll('|', '\\|')} | ${count} |`)
  .join('\n')}
`
}

export function repeatCommand({ options }: Pick<ChaosResult, 'options'>): string {
  const { seed, kills, jobs, rows, seconds: duration, beside } = options
  return `pnpm chaos --seed ${seed} --kills ${kills} --jobs ${jobs} --rows ${rows} --seconds ${duration}${beside === null ? '' : ` --beside ${beside}`}`
}

function renderTimes(title: string, { ended, redelivered }: RescueTimes): string {
  const row = (what: string, { count, p50Ms, p99Ms, maxMs }: Distribution) =>
    count === 0
      ? `| ${what}, ${title} | 0 | | | |`
      : `| ${what}, ${title} | ${count} | ${p50Ms} ms | ${p99Ms} ms | ${maxMs} ms |`
  return [row('run ended', ended), row('next attempt started', redelivered)].join('\n')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
