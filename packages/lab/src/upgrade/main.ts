// Shows an upgrade from 0.2: `pnpm upgrade:before`.
import { print, runCommand, tryRun } from '../runCommand.ts'
import { stopProcesses } from '../startProcess.ts'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { makeEngineBefore } from './engineBefore.ts'
import { runUpgrade } from './runUpgrade.ts'

const command = {
  name: 'upgrade:before',
  about: `Fills a PostgreSQL of its own by processes of Roundsman 0.2, one of which is killed in the
middle of its runs, moves it to this version, says how long that took, and accounts for
every piece of work. The engine of 0.2 comes from the history of this repository.`,
  options: {
    waiting: { takes: 'N', least: 0, fallback: 100_000, says: 'work that waits' },
    delayed: { takes: 'N', least: 0, fallback: 1_000, says: 'work for later' },
    dead: { takes: 'N', least: 0, fallback: 500, says: 'dead letters' },
    runs: { takes: 'N', least: 0, fallback: 2_000_000, says: 'runs of before' },
  },
  exits: '0 every piece is accounted for, 1 not, 2 usage',
} as const
const PATIENCE_MS = 7_200_000

await runCommand(command, async (size, stop) => {
  const stopped = new Promise<never>((_resolve, reject) => {
    stop.addEventListener(
      'abort',
      () => void stopProcesses().then(() => reject(stop.reason as Error)),
    )
  })
  stopped.catch(() => undefined)
  const settings = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }
  const result = await tryRun(
    ({ signal, onProgress }) =>
      withOwnPostgres({ name: 'upgrade', settings, signal }, async ({ databaseUrl, dataDir }) => {
        const before = await makeEngineBefore(dataDir)
        const upgrade = runUpgrade({ databaseUrl, before, size, onProgress })
        return await Promise.race([upgrade, stopped])
      }),
    { stop, patienceMs: PATIENCE_MS },
  )
  if (result === null) return 1
  const { foreseen, migratedMs, logBytes, done, findings } = result
  const { ready, delayed, deadLetters, lostRuns, seconds, diskBytes } = foreseen
  const megabytes = (bytes: number) => Math.round(bytes / 1_000_000)
  print(
    `Moved ${ready} due, ${delayed} for later, ${deadLetters} dead letters, ${lostRuns} runs of lost workers, beside ${size.runs} runs`,
  )
  print(`in ${(migratedMs / 1_000).toFixed(1)} s (foreseen ${seconds} s)`)
  print(
    `with ${megabytes(logBytes)} MB of log (foreseen ${megabytes(diskBytes)} MB); then ${done} were done`,
  )
  for (const finding of findings) print(`FAIL  ${finding}`)
  return findings.length === 0 ? 0 : 1
})
