// Shows an upgrade from 0.2: `pnpm upgrade:before`.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stopProcesses, WORKSPACE_ROOT } from '../bench/startProcess.ts'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { makeEngineBefore } from './engineBefore.ts'
import { runUpgrade, type UpgradeSize } from './runUpgrade.ts'

const DEFAULTS = { waiting: 100_000, delayed: 1_000, dead: 500, runs: 2_000_000 }

const USAGE = `Usage: pnpm upgrade:before [--waiting N] [--delayed N] [--dead N] [--runs N]

Fills a PostgreSQL of its own by processes of Roundsman 0.2, one of which is killed in the
middle of its runs, moves it to this version, says how long that took, and accounts for
every piece of work. The engine of 0.2 comes from the history of this repository.

  --waiting N  work that waits; default ${DEFAULTS.waiting}
  --delayed N  work for later; default ${DEFAULTS.delayed}
  --dead N     dead letters; default ${DEFAULTS.dead}
  --runs N     runs of before; default ${DEFAULTS.runs}

Exit code: 0 every piece is accounted for, 1 not, 2 usage`

process.exit(
  await main().catch((error: unknown) => {
    process.stderr.write(`${(error as Error).stack}\n`)
    return 1
  }),
)

async function main(): Promise<number> {
  const size = readSize()
  if (size === null) {
    const isAsked = process.argv.includes('--help')
    process[isAsked ? 'stdout' : 'stderr'].write(`${USAGE}\n`)
    return isAsked ? 0 : 2
  }
  const stop = new AbortController()
  const stopped = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        const reason = new Error(`Stopped by ${signal}`)
        stop.abort(reason)
        reject(reason)
      })
  })
  stopped.catch(() => undefined)
  const print = (line: string) => void process.stdout.write(`${line}\n`)
  const options = {
    parent: join(WORKSPACE_ROOT, '.data'),
    name: 'upgrade',
    settings: { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' },
    signal: stop.signal,
  }
  return await withOwnPostgres(options, async ({ databaseUrl, dataDir }) => {
    const before = await makeEngineBefore(dataDir)
    const upgrade = runUpgrade({ databaseUrl, before, size, onProgress: print })
    const result = await Promise.race([upgrade, stopped]).finally(() => void stopProcesses())
    const { foreseen, migratedMs, logBytes, done, findings } = result
    print(
      `Moved ${foreseen.ready} due, ${foreseen.delayed} for later, ${foreseen.deadLetters} dead letters, ${foreseen.lostRuns} runs of lost workers, beside ${size.runs} runs`,
    )
    print(`in ${(migratedMs / 1_000).toFixed(1)} s (foreseen ${foreseen.seconds} s)`)
    print(
      `with ${Math.round(logBytes / 1_000_000)} MB of log (foreseen ${Math.round(foreseen.diskBytes / 1_000_000)} MB); then ${done} were done`,
    )
    for (const finding of findings) print(`FAIL  ${finding}`)
    return findings.length === 0 ? 0 : 1
  })
}

function readSize(): UpgradeSize | null {
  const option = { type: 'string' } as const
  try {
    const { values } = parseArgs({
      options: { waiting: option, delayed: option, dead: option, runs: option },
    })
    const size = { ...DEFAULTS }
    for (const name of ['waiting', 'delayed', 'dead', 'runs'] as const) {
      const given = values[name]
      if (given === undefined) continue
      if (!/^\d{1,8}$/.test(given)) return null
      size[name] = Number(given)
    }
    return size
  } catch {
    return null
  }
}
