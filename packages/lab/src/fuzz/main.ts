// Sends the API whatever may be asked, and what may not.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCommit } from '@roundsman/testing/readCommit'
import { print, repeatOf, runCommand, tryRun, type RunContext } from '../runCommand.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { renderFuzzReport, summarizeFindings } from './renderFuzzReport.ts'
import { runFuzz, type FuzzResult } from './runFuzz.ts'

const REPORTS = { alone: 'reports/fuzz.md', withWorker: 'reports/fuzz-worker.md' }

const command = {
  name: 'fuzz',
  about: `Sends valid and invalid requests to an API that it starts itself, and checks every answer
against the OpenAPI document. Writes ${REPORTS.alone}, or with a worker
${REPORTS.withWorker}.`,
  options: {
    seed: {
      takes: 'N',
      isSeeds: true,
      says: 'the seed of the random requests; several run one after the other. Default: random',
    },
    requests: { takes: 'N', fallback: 10_000, says: 'how many requests to send' },
    worker: { says: 'also start a worker that runs what is requested' },
  },
  exits: '0 no findings, 1 some, 2 usage',
} as const

await runCommand(command, async ({ seed: seeds, requests, worker }, stop) => {
  const commit = await readCommit(WORKSPACE_ROOT)
  const results: FuzzResult[] = []
  for (const seed of seeds) {
    print(`Seed ${seed}`)
    const options = { seed, requests, worker }
    const run = ({ signal, onProgress }: RunContext) =>
      withOwnPostgres({ name: 'fuzz', signal }, (postgres) =>
        runFuzz(options, { ...postgres, signal, onProgress }),
      )
    // A request takes a few milliseconds; ten times that means that something hangs.
    const patienceMs = 120_000 + requests * 60
    const result = await tryRun(run, { stop, patienceMs, repeat: repeatOf('fuzz', options) })
    if (result === null) return 1
    results.push(result)
  }
  const report = worker ? REPORTS.withWorker : REPORTS.alone
  await writeFile(join(WORKSPACE_ROOT, report), renderFuzzReport(results, commit))
  for (const { options, findings } of results) {
    for (const line of summarizeFindings(findings)) print(`FAIL  ${line}`)
    if (findings.length > 0) print(`Repeat with: ${repeatOf('fuzz', { ...options })}`)
  }
  const count = results.reduce((sum, { findings }) => sum + findings.length, 0)
  print(`${count} findings. Written to ${report}`)
  return count === 0 ? 0 : 1
})
