// `pnpm audit:licences`: writes which packages are installed, and under which licences.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCommit, tellCommit } from '@roundsman/testing/readCommit'
import { findLicenceProblems } from './findLicenceProblems.ts'
import { listInstalled } from './listInstalled.ts'
import { renderLicences, renderPlatform } from './renderLicences.ts'

const root = join(import.meta.dirname, '../..')
const REPORT = 'reports/licences.md'

const packages = await listInstalled(root)
const problems = findLicenceProblems(packages)
await writeFile(
  join(root, REPORT),
  `${renderLicences(packages)}${renderPlatform(packages)}\nWritten at ${tellCommit(await readCommit(root))}.\n`,
)
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.stdout.write(
  `${packages.length} packages, ${problems.length} problems. Written to ${REPORT}\n`,
)
process.exitCode = problems.length === 0 ? 0 : 1
