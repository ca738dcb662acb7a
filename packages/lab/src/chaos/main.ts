// Tries to break the guarantees.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCommit } from '@roundsman/testing/readCommit'
import { hasFailed, printChecks } from '../checks.ts'
import { print, repeatOf, runCommand, tryRun, type RunContext } from '../runCommand.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'
import { describeVanishing, renderReport } from './renderReport.ts'
import { runChaos, type ChaosResult } from './runChaos.ts'
import { vanishMachine } from './vanishMachine.ts'

const REPORT = 'reports/chaos.md'
/** How long everything before and after the disturbances may take. */
const PATIENCE_MS = 300_000

const command = {
  name: 'chaos',
  about: `Tries to break the guarantees: kills, freezes and cuts off workers that carry
out queued jobs, schedules and a clean-up, and then checks that every guarantee holds.
Writes ${REPORT}.`,
  options: {
    seed: {
      takes: 'N',
      isSeeds: true,
      says: 'the seed of the random plan; several run one after the other. Default: random',
    },
    kills: { takes: 'N', fallback: 300, says: 'how many workers to kill' },
    jobs: { takes: 'N', fallback: 20_000, says: 'how many jobs to enqueue' },
    rows: { takes: 'N', fallback: 1_000_000, says: 'how many rows the clean-up has to remove' },
    seconds: { takes: 'N', fallback: 270, says: 'how long to disturb the workers' },
    trace: { takes: 'FILE', says: 'write everything that happens to this file' },
  },
  exits: '0 every check passed, 1 one did not, 2 usage',
} as const

await runCommand(command, async ({ seed: seeds, kills, jobs, rows, seconds, trace }, stop) => {
  const commit = await readCommit(WORKSPACE_ROOT)
  const file = join(WORKSPACE_ROOT, REPORT)
  const results: ChaosResult[] = []
  for (const seed of seeds) {
    print(`Seed ${seed}`)
    const options = { seed, kills, jobs, rows, seconds }
    const patienceMs = seconds * 1_000 + PATIENCE_MS
    const repeat = repeatOf('chaos', options)
    const run = (context: RunContext) => runChaos(options, context)
    const result = await tryRun(run, { stop, patienceMs, repeat, trace })
    if (result === null) return 1
    printChecks(result)
    results.push(result)
    await writeFile(file, renderReport(results, null, commit))
  }
  print('A machine that vanishes from the network')
  const vanished = await tryRun(vanishMachine, { stop, patienceMs: PATIENCE_MS })
  if (vanished === null) return 1
  if (vanished === 'not tried') print('NOT TRIED: it takes root and iproute2 on Linux')
  else print(`${vanished.isPassed ? 'PASS' : 'FAIL'}  ${describeVanishing(vanished)}`)
  await writeFile(file, renderReport(results, vanished === 'not tried' ? null : vanished, commit))
  print(`Written to ${REPORT}`)
  const failed = results.filter(hasFailed)
  for (const { options } of failed) {
    process.stderr.write(`Repeat with: ${repeatOf('chaos', { ...options })}\n`)
  }
  const hasVanishedWell = vanished === 'not tried' || vanished.isPassed
  return failed.length === 0 && hasVanishedWell ? 0 : 1
})
