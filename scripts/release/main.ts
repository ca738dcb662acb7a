// `pnpm release`: versions by the waiting changesets, packs and checks. A person publishes the tarballs. `--dry-run`
// changes nothing in the repository; `--pack <folder>` only packs what is there. `--repository <url>` writes into the
// manifests where they come from, which npm asks for before it takes a statement of provenance.
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { captureTool } from '../check/runTool.ts'
import { checkConsumers } from './checkConsumers.ts'
import { checkPacked } from './checkPacked.ts'
import { packPublished, type PackedPackage } from './packPublished.ts'
import { rehearseVersions, versionPackages } from './versionPackages.ts'

const root = join(import.meta.dirname, '../..')
const { values } = parseArgs({
  options: {
    pack: { type: 'string' },
    repository: { type: 'string' },
    'dry-run': { type: 'boolean' },
  },
})
const { repository } = values

if (values.pack !== undefined) {
  show(await packPublished(root, resolve(values.pack), { repository }))
} else process.exitCode = await release(values['dry-run'] === true)

/** Versions, packs and checks all packages, and resolves to the exit code. */
async function release(isDryRun: boolean): Promise<number> {
  const target = join(root, 'node_modules/.cache/release')
  await rm(target, { recursive: true, force: true })
  await mkdir(target, { recursive: true })
  const changelogs = join(target, 'changelogs')
  const version = isDryRun ? await rehearseVersions(root, changelogs) : await versionPackages(root)
  const packed = await packPublished(root, target, { version })
  const problems = packed.flatMap(checkPacked)
  for (const one of packed) problems.push(...(await lint(one)))
  problems.push(...(await checkConsumers(root, packed)))
  show(packed)
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  if (problems.length > 0) return 1
  const where = isDryRun ? changelogs : 'packages/*/CHANGELOG.md'
  process.stdout.write(`Version ${version}, nothing wrong. Changelogs: ${where}\n`)
  if (!isDryRun) {
    process.stdout.write(
      'Commit the versions, and push their tag: .github/workflows/release.yml publishes it\n',
    )
  }
  return 0
}

/** What publint and "Are the types wrong?" report of a tarball, with warnings and suggestions. */
async function lint({ file, name }: PackedPackage): Promise<string[]> {
  const tools = [
    ['publint', [file, '--strict', '--pack', 'false']],
    // We publish only ES modules, which Node also requires.
    ['attw', [file, '--profile', 'esm-only', '--no-emoji']],
  ] as const
  const problems: string[] = []
  for (const [tool, args] of tools) {
    const { exitCode, output } = await captureTool(root, tool, args)
    const isClean = exitCode === 0 && (tool !== 'publint' || /All good!/.test(output))
    if (!isClean) problems.push(`${tool} of ${name}:\n${output}`)
  }
  return problems
}

function show(packed: readonly PackedPackage[]): void {
  for (const { file, packedBytes, unpackedBytes, files } of packed) {
    process.stdout.write(
      `${kilobytes(packedBytes)} packed, ${kilobytes(unpackedBytes)} unpacked, ${files.size} files  ${file}\n`,
    )
  }
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1).padStart(7)} kB`
}
