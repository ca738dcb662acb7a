import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeServerFolder } from '@roundsman/testing'
import { formatNumber, range, table } from '../markdown.ts'
import { startProgram } from '../startProcess.ts'
import { summarise } from '../statistics.ts'
import type { Bench } from './openBench.ts'
import { defineScenario } from './scenario.ts'

interface StartupFigures {
  /** From the command to the box, with an empty data folder. */
  firstMs: number
  /** The same with the folder that the first start left behind. */
  warmMs: number[]
  /** How much of that passes until pnpm has started our program. */
  launcherMs: number[]
}

const ENVIRONMENT = {
  PORT: '0',
  WORKER_PORT: '0',
  INBOX_PORT: '0',
  HOST: undefined,
  DATABASE_URL: undefined,
  JOBS_ENABLED: undefined,
  JWT_SECRET: undefined,
  LOG_LEVEL: undefined,
  NODE_ENV: undefined,
  SMTP_URL: undefined,
}

export const startup = defineScenario<StartupFigures>({
  name: 'start',
  title: 'Starting everything',
  rounds: 5,
  measure: measureStartup,
  targets: ({ warmMs, launcherMs }) => [
    {
      what: 'warm `npx -y pnpm@12 start` to ready',
      atMost: 3,
      unit: 's',
      measured: inSeconds(warmMs),
      obstacle: `npx and pnpm take ${formatNumber(inSeconds(launcherMs).median)} s of it before our program is started`,
    },
  ],
  render({ firstMs, warmMs, launcherMs }) {
    const warm = inSeconds(warmMs)
    return `From the command to the box with the URLs, which is printed once API, worker and inbox say that they are ready. Installed and
built, with an embedded PostgreSQL in a folder of its own.

${table(
  ['', 'time', 'all rounds'],
  [
    ['first start: new database, migrations, demo data', `${formatNumber(firstMs / 1_000)} s`, ''],
    ['warm start', `${formatNumber(warm.median)} s`, `${range(warm)} s`],
    [
      'of that, npx and pnpm, before our program is started',
      `${formatNumber(inSeconds(launcherMs).median)} s`,
      '',
    ],
  ],
)}`
  },
  plots: () => [],
})

function inSeconds(rounds: readonly number[]) {
  return summarise(rounds.map((ms) => ms / 1_000))
}

/** Runs `npx -y pnpm@12 start`, up to the box that says that API and worker are ready. */
async function measureStartup(bench: Bench): Promise<StartupFigures> {
  const folder = await makeServerFolder('roundsman-start-', tmpdir())
  const remove = bench.onClose(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  const dataDir = join(folder, 'data')
  bench.progress('the first start')
  const { readyMs: firstMs } = await startOnce(dataDir)
  const figures: StartupFigures = { firstMs, warmMs: [], launcherMs: [] }
  await bench.interleave(['start'], async (_, round) => {
    bench.progress(`round ${round + 1}`)
    const { readyMs, launcherMs } = await startOnce(dataDir)
    figures.warmMs.push(readyMs)
    figures.launcherMs.push(launcherMs)
  })
  await remove()
  return figures
}

async function startOnce(dataDir: string): Promise<{ readyMs: number; launcherMs: number }> {
  const startedAtMs = performance.now()
  let launcherMs = NaN
  const child = startProgram('npx', ['-y', 'pnpm@12', 'start'], {
    env: { ...ENVIRONMENT, DATA_DIR: dataDir },
    onLine(line) {
      if (Number.isNaN(launcherMs) && line.startsWith('$ node ')) {
        launcherMs = performance.now() - startedAtMs
      }
    },
  })
  try {
    const [, port = ''] = await child.line(/API docs.*http:\/\/127\.0\.0\.1:(\d+)/)
    const readyMs = performance.now() - startedAtMs
    // Checks that what the box says is so.
    const response = await fetch(`http://127.0.0.1:${port}/health/ready`)
    if (!response.ok) throw new Error(`The API was not ready: ${response.status}`)
    return { readyMs, launcherMs }
  } finally {
    await child.stop()
  }
}
