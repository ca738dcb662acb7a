import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTarball } from '../release/createTarball.ts'
import { packPublished, type PackedPackage } from '../release/packPublished.ts'
import { runCommand, type CommandOptions } from './runCommand.ts'

const ROOT = join(import.meta.dirname, '../..')
/** The last version whose tables this one takes over: a commit of this repository, packed as it was. */
const OLDER = { commit: '44af15c6', version: '0.1.0', tag: 'older' }
/** The file that makes the tables. */
const STEPS = 'dist/store/steps.js'
/** The version after this one has another step, which a worker of this version may find done. */
const NEXT_STEP = `
STEPS.push({ name: 'next', breaks: false, sql: 'alter table "JobRun" add column "next" integer' })
`

export interface OlderVersion {
  /** A copy of this repository as it was. */
  root: string
  /** Its page for the product that is upgraded from it. */
  page: string
  /** With it npm installs that version wherever none is named. */
  env: Record<string, string>
  /** Whether the tables have changed since. */
  hasOtherTables: boolean
}

/**
 * Publishes all packages: this repository's as `latest`, a made-up later version as `next`, and one that really existed
 * before as `older`.
 */
export async function publishPackages(
  folder: string,
  options: CommandOptions,
): Promise<{ older: OlderVersion }> {
  const publish = async (file: string, tag: string) =>
    await runCommand(`npm publish --ignore-scripts --tag ${tag} '${file}'`, options)
  const packed = await packPublished(ROOT, join(folder, 'now'))
  await mkdir(join(folder, 'next'))
  for (const one of packed) {
    await publish(one.file, 'latest')
    const next = join(folder, 'next', `${one.folder.replace('/', '-')}.tgz`)
    await writeFile(next, createTarball(filesOfNext(one)))
    await publish(next, 'next')
  }
  const root = await checkOut(join(folder, 'repository-before'), options)
  const before = await packPublished(root, join(folder, OLDER.version), OLDER.version)
  for (const { file } of before) await publish(file, OLDER.tag)
  const hasOtherTables = stepsOf(packed) !== stepsOf(before)
  return {
    older: { root, page: 'docs/adopting.md', env: { npm_config_tag: OLDER.tag }, hasOtherTables },
  }
}

function stepsOf(packed: readonly PackedPackage[]): string {
  const found = packed.find(({ files }) => files.has(STEPS))?.files.get(STEPS)
  if (found === undefined) throw new Error(`No package has ${STEPS}`)
  return found.toString()
}

/** Copies that commit and installs what it needs to be built, by its own lock file. */
async function checkOut(target: string, { signal }: CommandOptions): Promise<string> {
  await mkdir(target)
  // With this workspace's registry, and not the one on loopback.
  const options = { cwd: ROOT, env: { ...process.env, CI: 'true' }, signal }
  await runCommand(
    `git cat-file -e ${OLDER.commit} || { echo 'This clone is shallow: git fetch --unshallow' >&2; exit 1; }`,
    options,
  )
  await runCommand(`git archive ${OLDER.commit} | tar -x -C '${target}'`, options)
  const install = 'pnpm install --frozen-lockfile --prefer-offline'
  await runCommand(install, { ...options, cwd: target })
  return target
}

/** The files of the made-up next version: another version number, and another step for the tables. */
function filesOfNext({ version, manifest, files }: PackedPackage): Map<string, Buffer> {
  const next = new Map(files)
  const [major, minor] = version.split('.')
  const nextVersion = `${major}.${Number(minor) + 1}.0`
  const dependencies = Object.fromEntries(
    Object.entries(manifest.dependencies ?? {}).map(([name, range]) => [
      name,
      range === version && /^@?roundsman/.test(name) ? nextVersion : range,
    ]),
  )
  const text = JSON.stringify({ ...manifest, version: nextVersion, dependencies }, null, 2)
  next.set('package.json', Buffer.from(text))
  const steps = files.get(STEPS)
  if (steps) next.set(STEPS, Buffer.from(`${steps.toString()}${NEXT_STEP}`))
  return next
}
