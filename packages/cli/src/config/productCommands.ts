import { checkMigrations } from '@roundsman/engine/internal'
import { checkAgainst } from '../check/checkAgainst.ts'
import type { CheckOptions } from '../check/checkCommand.ts'
import { checkJobs } from '../check/checkJobs.ts'
import { checkPooler } from '../check/checkPooler.ts'
import { checkVacuum } from '../check/checkVacuum.ts'
import type { CheckResult, Finding } from '../check/finding.ts'
import { callOf } from '../init/findTooling.ts'
import { look, type Product } from '../command/product.ts'
import { ForeseenError, type Terminal } from '../command/runCommand.ts'
import { createImportCommand } from '../import/importCommand.ts'
import { createProductCommands } from './createProductCommands.ts'
import { openProduct } from './openProduct.ts'

const CHECK = `Finds problems of jobs before they run:
  invalid schedules and zones, and times that daylight saving skips or repeats
  policies that exclude each other, and destructive jobs without a guard
  missing tables in the database of DATABASE_URL
  transactions that keep PostgreSQL from removing old rows
  a pooler that no worker can use
Each finding names the job, the problem and the remedy.`

/** The commands about the product of the working directory. */
export const productCommands = createProductCommands({
  call: (command) => `roundsman ${command}`,
  open: openProduct,
  check: { about: CHECK, check: checkProduct, catalogue: () => null },
})

export const importCommand = createImportCommand({ call: 'roundsman import', open: openProduct })

async function checkProduct(
  { withDatabase, against, now }: CheckOptions,
  terminal: Terminal,
): Promise<CheckResult> {
  const product = await openProduct(terminal, against)
  const findings: Finding[] = checkJobs(product, now)
  const jobs = product.jobs.map(({ name }) => name)
  if (against !== undefined) {
    const inFlight = await product.within((place) => checkAgainst(place, product.jobs))
    return { jobs, findings: [...findings, ...inFlight.findings], unchecked: inFlight.unchecked }
  }
  const found = withDatabase ? await findTablesProblem(product) : null
  if (found !== null) {
    findings.push({
      severity: 'error',
      code: 'database_unusable',
      job: null,
      problem: found.problem,
      remedy: `${found.remedy}, or leave the database out with --no-database`,
    })
  } else if (withDatabase) {
    const vacuum = await look(product, (reader) => checkVacuum(reader, now))
    findings.push(...(vacuum.found ?? []))
    findings.push(...(await product.within(({ databaseUrl }) => checkPooler(databaseUrl))))
  }
  const unchecked = withDatabase
    ? []
    : [{ what: 'whether the tables are there', reason: '--no-database was given' }]
  return { jobs, findings, unchecked }
}

async function findTablesProblem({
  within,
}: Pick<Product, 'within'>): Promise<Pick<Finding, 'problem' | 'remedy'> | null> {
  try {
    const problem = await within(checkMigrations)
    if (problem === null) return null
    const remedy = problem.message.slice(problem.problem.length + '; '.length)
    return {
      problem: problem.problem,
      remedy: remedy.replace('npx roundsman ', await callOf('')),
    }
  } catch (error) {
    if (error instanceof ForeseenError) return { problem: error.message, remedy: 'correct that' }
    throw error
  }
}
