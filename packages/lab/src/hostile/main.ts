// Has workers live with whatever handlers, payloads, definitions, observers, hosts, roles and people may do to them.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCommit } from '@roundsman/testing/readCommit'
import { hasFailed, printChecks } from '../checks.ts'
import { print, repeatOf, runCommand, tryRun, type RunContext } from '../runCommand.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { DEADLY } from './deadlyOutcomes.ts'
import { CELLS } from './matrixCells.ts'
import { PARTS, type DrawnResult, type Part, type PartName, type PartResult } from './parts.ts'
import { putSection, renderHostile } from './renderHostile.ts'
import { runHostile, type HostileResult } from './runHostile.ts'
import { runMatrix } from './runMatrix.ts'

const REPORT = 'reports/hostile.md'
const DRAWN = Object.entries(PARTS) as [PartName, Part][]
const NAMES = ['outcomes', 'matrix', ...DRAWN.map(([name]) => name)]
const COUNTS = Object.fromEntries(
  DRAWN.map(([, { option, counts, fallback }]) => [
    option,
    { takes: 'N', fallback, says: `how many ${counts}` },
  ]),
) as Record<Part['option'], { takes: 'N'; fallback: number; says: string }>

const command = {
  name: 'hostile',
  about: `Runs handlers, payloads, definitions and observers that misbehave at random beside
innocent jobs, and then checks that only the guilty runs suffered. Then tries hosts
and roles of all kinds, what people may do to work, held against a model, workers of
different versions that come and go, networks that are slow, silent or cut, what other
sessions lock, and all numbers that are taken. Writes ${REPORT}.`,
  options: {
    seed: {
      takes: 'N',
      isSeeds: true,
      says: 'the seed of the random misbehaviour; several run one after the other. Default: random',
    },
    outcomes: {
      takes: 'N',
      fallback: 100_000,
      says: 'how many runs that end in a random way',
    },
    deadly: {
      takes: 'N',
      fallback: DEADLY.length,
      least: 0,
      says: 'how many runs that end their process',
    },
    ...COUNTS,
    only: {
      takes: 'WHAT',
      choices: NAMES,
      says: `run only ${NAMES.join(', ')}.
                 Of outcomes or matrix alone, it writes nothing into the report`,
    },
    trace: { takes: 'FILE', says: 'write everything that happens to this file' },
  },
  exits: '0 all held, 1 something did not, 2 usage',
} as const

/** A host or a role takes a few seconds. */
const MATRIX_PATIENCE_MS = 1_200_000

await runCommand(
  command,
  async ({ seed: seeds, outcomes, deadly, only, trace, ...counts }, stop) => {
    const commit = await readCommit(WORKSPACE_ROOT)
    const file = join(WORKSPACE_ROOT, REPORT)
    const isWanted = (part: string) => only === null || only === part
    const results: HostileResult[] = []
    let isWell = true
    for (const seed of isWanted('outcomes') ? seeds : []) {
      print(`Seed ${seed}`)
      const options = { seed, outcomes, deadly }
      // An outcome takes some 5 ms; ten times that means that something stands still.
      const patienceMs = 600_000 + outcomes * 50 + deadly * 120_000
      const repeat = repeatOf('hostile', options)
      const result = await tryRun(
        (context) =>
          onServer(context, (databaseUrl) => runHostile(options, { ...context, databaseUrl })),
        { stop, patienceMs, repeat, trace },
      )
      if (result === null) return 1
      printChecks(result)
      if (hasFailed(result)) {
        process.stderr.write(`Repeat with: ${repeat}\n`)
        isWell = false
      }
      results.push(result)
    }
    if (isWanted('matrix')) {
      const cells = await tryRun(
        (context) => onServer(context, (adminUrl) => runMatrix(CELLS, { ...context, adminUrl })),
        { stop, patienceMs: MATRIX_PATIENCE_MS },
      )
      if (cells === null || cells.some(({ problem }) => problem !== null)) isWell = false
      if (cells && only === null) await writeFile(file, renderHostile(results, cells, commit))
    }
    for (const [name, part] of DRAWN.filter(([each]) => isWanted(each))) {
      const drawn: DrawnResult[] = []
      for (const seed of seeds) {
        const count = counts[part.option]
        const place = { stop, patienceMs: part.patienceMs(count) }
        const result = await tryRun((context) => runPart(part, { seed, count }, context), place)
        // Somebody has stopped it.
        if (result === null) return 1
        const { problems, figures } = result
        print(`${problems.length === 0 ? 'PASS' : 'FAIL'}  ${name} with seed ${seed}: ${figures}`)
        for (const problem of problems) print(`      ${problem}`)
        if (problems.length > 0) {
          const repeat = repeatOf('hostile', { only: name, seed, [part.option]: count })
          process.stderr.write(`Repeat with: ${repeat}\n`)
          isWell = false
        }
        drawn.push({ seed, count, ...result })
      }
      await writeFile(file, putSection(await readFile(file, 'utf8'), part, drawn, commit))
      print(`Written to ${REPORT}`)
    }
    return isWell ? 0 : 1
  },
)

/** What it throws is a problem like others, unless somebody has stopped it. */
async function runPart(
  part: Part,
  drawn: { seed: number; count: number },
  context: RunContext,
): Promise<PartResult> {
  const { signal } = context
  try {
    return await onServer(context, (adminUrl) => part.run(drawn, { adminUrl, signal }))
  } catch (error) {
    const { stack, message, cause } = error as Error
    if (message.startsWith('Stopped by')) throw error
    process.stderr.write(`${stack}\n`)
    // What has been drawn is long, and stands above.
    return { problems: [cause instanceof Error ? cause.message : message], figures: '' }
  }
}

/** Gives `run` a PostgreSQL of its own, which ends with it. */
async function onServer<Result>(
  { signal }: RunContext,
  run: (url: string) => Promise<Result>,
): Promise<Result> {
  return await withOwnPostgres(
    { name: 'hostile', settings: { max_connections: '200' }, signal },
    ({ databaseUrl }) => run(databaseUrl),
  )
}
