// Measures everything side by side, in one run on one PostgreSQL: `pnpm bench [scenario…]`.
import { join } from 'node:path'
import { readCommit } from '@roundsman/testing/readCommit'
import { backlog } from './backlog/backlog.ts'
import { cleanup } from './cleanup/cleanup.ts'
import { commits } from './commits/commits.ts'
import { consoleScenario } from './console/console.ts'
import { describeMachine } from './describeMachine.ts'
import { idle } from './idle/idle.ts'
import { latency } from './latency/latency.ts'
import { openBench, type OpenBench } from './openBench.ts'
import { readArguments, UsageError, type BenchArguments } from './readArguments.ts'
import { storeResult } from './results.ts'
import { runs } from './runs/runs.ts'
import { growth } from './growth/growth.ts'
import type { Scenario } from './scenario.ts'
import { schedules } from './schedules/schedules.ts'
import { WORKSPACE_ROOT } from './startProcess.ts'
import { startup } from './startup/startup.ts'
import { testing } from './testing/testing.ts'
import { throughput } from './throughput/throughput.ts'
import { reportPlace, writeReport } from './writeReport.ts'

/** In the order of the report. */
const scenarios: readonly Scenario[] = [
  throughput,
  latency,
  backlog,
  commits,
  growth,
  cleanup,
  runs,
  consoleScenario,
  schedules,
  idle,
  startup,
  testing,
]

const USAGE = `Usage: pnpm bench [scenario…] [--rounds N] [--scale small|full] [--seed N]
                  [--postgres FOLDER] [--out FOLDER] [--report-only]

Measures Roundsman and other systems, and writes reports/bench.md. Scenarios that are not
measured again keep their section of the report. Without a scenario it measures all:
${scenarios.map(({ name }) => name).join(', ')}.

  --rounds N     how many rounds; default: what the scenario sets
  --scale SCALE  small only tries everything out, in little time; default full
  --seed N       the seed of the random data; default 1
  --postgres FOLDER
                 measure on the PostgreSQL whose programs are in this folder, such as
                 /usr/lib/postgresql/17/bin; default: the embedded one
  --out FOLDER   the folder for the report; default reports
  --report-only  measure nothing, and write the report from the earlier results

Exit code: 0 measured, whether targets were met or not, 2 usage, 130 stopped`

const INTERRUPTED = 130

process.exit(await main(process.argv.slice(2)))

async function main(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  let wanted: BenchArguments
  try {
    wanted = readArguments(
      args,
      scenarios.map(({ name }) => name),
    )
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n\n${USAGE}\n`)
    return 2
  }
  const place = reportPlace(wanted.out ?? join(WORKSPACE_ROOT, 'reports'))
  if (!wanted.reportOnly) {
    const interrupted = await measure(wanted, place.figures)
    if (interrupted) return INTERRUPTED
  }
  const { missed } = await writeReport(scenarios, place)
  process.stdout.write(`Written to ${place.report}; targets missed: ${missed}\n`)
  return 0
}

/** Returns whether somebody stopped it. What was measured until then is kept. */
async function measure(wanted: BenchArguments, folder: string): Promise<boolean> {
  let current = ''
  const bench = openBench({
    ...wanted,
    onProgress: (text) => process.stdout.write(`${current}: ${text}\n`),
  })
  let interrupted = false
  const stop = () => {
    interrupted = true
    process.stdout.write('Stopping…\n')
    void bench.close().finally(() => process.exit(INTERRUPTED))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop)
  // When a stop takes the server away from a measurement, some promise fails.
  process.on('unhandledRejection', (error) => {
    if (!interrupted) throw error
  })
  try {
    for (const scenario of scenarios) {
      if (wanted.scenarios.length > 0 && !wanted.scenarios.includes(scenario.name)) continue
      current = scenario.name
      await measureOne(scenario, bench, wanted, folder)
    }
  } catch (error) {
    if (!interrupted) throw error
  } finally {
    await bench.close()
  }
  return interrupted
}

async function measureOne(
  scenario: Scenario,
  bench: OpenBench,
  { scale, seed }: BenchArguments,
  folder: string,
): Promise<void> {
  const startedAt = performance.now()
  const figures = await scenario.measure(bench.forScenario(scenario.rounds))
  const durationMs = Math.round(performance.now() - startedAt)
  await storeResult(folder, {
    scenario: scenario.name,
    measuredAt: new Date().toISOString(),
    commit: await readCommit(WORKSPACE_ROOT),
    scale,
    seed,
    durationMs,
    loads: bench.takeLoads(),
    machine: await describeMachine(),
    postgres: bench.postgresVersion(),
    figures,
  })
  process.stdout.write(`\n${scenario.render(figures).trim()}\n\n`)
}
