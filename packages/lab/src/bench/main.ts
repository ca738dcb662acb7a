// Measures everything side by side, in one run on one PostgreSQL: `pnpm bench [scenario…]`.
import { join } from 'node:path'
import { readCommit } from '@roundsman/testing/readCommit'
import { commits } from './commits.ts'
import { latency } from './latency.ts'
import { limits } from './limits.ts'
import { openBench, type BenchOptions } from './openBench.ts'
import { describeMachine, storeResult } from './results.ts'
import { growth } from './growth.ts'
import { SCALES, type Scenario } from './scenario.ts'
import { schedules } from './schedules.ts'
import { shares } from './shares.ts'
import { steps } from './steps/steps.ts'
import { print, runCommand } from '../runCommand.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'
import { throughput } from './throughput/throughput.ts'
import { reportPlace, writeReport } from './writeReport.ts'

/** In the order of the report. */
const scenarios: readonly Scenario[] = [
  throughput,
  latency,
  commits,
  growth,
  schedules,
  limits,
  shares,
  steps,
]

const NAMES = scenarios.map(({ name }) => name)

const command = {
  name: 'bench',
  about: `Measures Roundsman and other systems, and writes reports/bench.md. Scenarios that are not
measured again keep their section of the report. Without a scenario it measures all:
${NAMES.join(', ')}.`,
  things: { name: 'scenario', known: NAMES },
  options: {
    rounds: {
      takes: 'N',
      fallback: null,
      says: 'how many rounds; default: what the scenario sets',
    },
    scale: {
      takes: 'SCALE',
      choices: SCALES,
      says: 'small only tries everything out, in little time; default full',
    },
    seed: { takes: 'N', fallback: 1, says: 'the seed of the random data' },
    postgres: {
      takes: 'FOLDER',
      says: `measure on the PostgreSQL whose programs are in this folder, such as
                     /usr/lib/postgresql/17/bin; default: the embedded one`,
    },
    out: { takes: 'FOLDER', says: 'the folder for the report; default reports' },
    'report-only': { says: 'measure nothing, and write the report from the earlier results' },
  },
  exits: '0 measured, whether targets were met or not, 2 usage, 130 stopped',
} as const

const INTERRUPTED = 130

await runCommand(
  command,
  async ({ things: wanted, rounds, scale, seed, postgres, out, ...more }, stop) => {
    const place = reportPlace(out ?? join(WORKSPACE_ROOT, 'reports'))
    if (!more['report-only']) {
      const settings = {
        rounds,
        scale: scale === 'small' ? 'small' : 'full',
        seed,
        postgres,
      } as const
      const isWanted = ({ name }: Scenario) => wanted.length === 0 || wanted.includes(name)
      await measure(scenarios.filter(isWanted), settings, place.figures, stop)
      if (stop.aborted) return INTERRUPTED
    }
    const { missed } = await writeReport(scenarios, place)
    print(`Written to ${place.report}; targets missed: ${missed}`)
    return 0
  },
)

/** When somebody stops it, what was measured until then is kept. */
async function measure(
  wanted: readonly Scenario[],
  settings: Omit<BenchOptions, 'onProgress'>,
  folder: string,
  stop: AbortSignal,
): Promise<void> {
  let current = ''
  const onProgress = (text: string) => print(`${current}: ${text}`)
  const bench = openBench({ ...settings, onProgress })
  stop.addEventListener('abort', () => {
    print('Stopping…')
    void bench.close().finally(() => process.exit(INTERRUPTED))
  })
  // When a stop takes the server away from a measurement, some promise fails.
  process.on('unhandledRejection', (error) => {
    if (!stop.aborted) throw error
  })
  try {
    for (const scenario of wanted) {
      current = scenario.name
      const startedAt = performance.now()
      const figures = await scenario.measure(bench.forScenario(scenario.rounds))
      await storeResult(folder, {
        scenario: scenario.name,
        measuredAt: new Date().toISOString(),
        commit: await readCommit(WORKSPACE_ROOT),
        scale: settings.scale,
        seed: settings.seed,
        durationMs: Math.round(performance.now() - startedAt),
        loads: bench.takeLoads(),
        machine: await describeMachine(),
        postgres: bench.postgresVersion(),
        figures,
      })
      print(`\n${scenario.render(figures).trim()}\n`)
    }
  } catch (error) {
    if (!stop.aborted) throw error
  } finally {
    await bench.close()
  }
}
