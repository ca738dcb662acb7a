// Runs workflows of DBOS, each with as many steps as ours.
import { DBOS } from '@dbos-inc/dbos-sdk'
import { followDriver } from '../../followDriver.ts'

const STEPS = 20

const { settings, tell } = followDriver<{ databaseUrl: string; count: number }>()
const { databaseUrl, count } = settings
DBOS.setConfig({ name: 'bench', systemDatabaseUrl: databaseUrl, logLevel: 'error' })
const work = DBOS.registerWorkflow(
  async () => {
    for (let n = 0; n < STEPS; n++) await DBOS.runStep(async () => n, { name: 'call' })
  },
  { name: 'work' },
)
await DBOS.launch()
process.once('SIGTERM', () => void DBOS.shutdown().then(() => process.exit(0)))
const runAll = async (runs: number) => {
  const handles = await Promise.all(Array.from({ length: runs }, () => DBOS.startWorkflow(work)()))
  await Promise.all(handles.map((handle) => handle.getResult()))
}
await runAll(1)
const startedAt = performance.now()
await runAll(count)
tell({ measured: (count * STEPS * 1_000) / (performance.now() - startedAt) })
