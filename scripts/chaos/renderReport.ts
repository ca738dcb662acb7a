import type { Distribution, RescueTimes } from './measureRescue.ts'
import type { ChaosResult } from './runChaos.ts'

/** The run as a page for people: the same whatever machine it ran on, but for its figures. */
export function renderReport(result: ChaosResult, ranAt: Date): string {
  const { options, checks, disturbances, fleet, rescue } = result
  const failed = checks.filter(({ isPassed }) => !isPassed)
  const verdict =
    failed.length === 0
      ? 'Every check passed.'
      : `**${failed.length} of ${checks.length} checks failed.** To repeat it: \`${repeatCommand(result)}\`.`
  return `# Chaos

Written by \`pnpm chaos\`: three worker processes on one PostgreSQL carry out ${options.jobs} queued jobs, four schedules by
the second and a clean-up of ${options.rows} rows, while a driver kills, freezes, cuts off and misleads them.

${verdict}

| | |
|---|---|
| Seed | ${options.seed} |
| Ran | ${ranAt.toISOString()}, ${seconds(result.totalMs)} in all |
| Parameters | --kills ${options.kills} --jobs ${options.jobs} --rows ${options.rows} --seconds ${options.seconds} |
| Repeat | \`${repeatCommand(result)}\` |

## Checks

| | guarantee | what holds | figures |
|---|---|---|---|
${checks.map((check) => `| ${check.isPassed ? 'PASS' : '**FAIL**'} | ${check.guarantee} | ${check.name} | ${check.figures} |`).join('\n')}

## Disturbances

| what | how often |
|---|---|
${[...disturbances]
  .toSorted(([one], [other]) => one.localeCompare(other))
  .map(([kind, count]) => `| ${kind} | ${count} |`)
  .join('\n')}

${fleet.killsWhileStarting} of the kills hit a process that was only starting, the others one that was at work.

${fleet.started} worker processes were started; ${fleet.startFailures} could not start because PostgreSQL was out of reach, and were
started again. ${result.takenOver} runs were taken over from workers that lived: cut off, frozen or half-open, they had
been taken for dead, and could commit nothing more.

## Rescue

From SIGKILL, by PostgreSQL's clock.

| | runs | p50 | p99 | longest |
|---|---|---|---|---|
${renderTimes('with a worker there to notice', rescue.withRescuer)}
${renderTimes('all kills', rescue.all)}

"A worker there to notice" is one that had been up for 3.5 s before the kill and was neither killed nor disturbed for
as long after it, with PostgreSQL up: a worker that has just connected rescues nothing for 2 s. "All kills" has also
those in the middle of a restart of PostgreSQL, or of a half-open connection, which PostgreSQL does not know to be dead.

After the last disturbance the workers took ${seconds(result.drainMs)} to finish.

## What a jumping clock may do

A worker whose clock is ahead decides ticks early, and one that is behind leaves them to the others. What is checked
holds all the same: no tick is run twice, and none is missing up to the latest cursor. What is not promised is that a
tick is decided at its instant by every clock but the deciding worker's own.

## Warnings of the workers

| message | lines |
|---|---|
${[...fleet.warnings]
  .toSorted(([, one], [, other]) => other - one)
  .map(([message, count]) => `| ${message.replaceAll('|', '\\|')} | ${count} |`)
  .join('\n')}
`
}

export function repeatCommand({ options }: Pick<ChaosResult, 'options'>): string {
  const { seed, kills, jobs, rows } = options
  return `pnpm chaos --seed ${seed} --kills ${kills} --jobs ${jobs} --rows ${rows} --seconds ${options.seconds}`
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
