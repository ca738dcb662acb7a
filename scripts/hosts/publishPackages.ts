import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTarball } from '../release/createTarball.ts'
import { packPublished, type PackedPackage } from '../release/packPublished.ts'
import { runCommand, type CommandOptions } from './runCommand.ts'

const ROOT = join(import.meta.dirname, '../..')
const NOW = '0.1.0'
const NEXT = '0.2.0'
/** What makes the tables. */
const STEPS = 'dist/store/steps.js'
/** The version after has one step more, which a worker of this version may find done. */
const NEXT_STEP = `
STEPS.push({ name: 'next', breaks: false, sql: 'alter table "JobRun" add column "next" integer' })
`

/** Publishes all packages twice: what is in this repository as `latest`, and a version after it as `next`. */
export async function publishPackages(folder: string, options: CommandOptions): Promise<void> {
  const packed = await packPublished(ROOT, join(folder, NOW), NOW)
  await mkdir(join(folder, NEXT))
  for (const one of packed) {
    await runCommand(`npm publish --ignore-scripts --tag latest '${one.file}'`, options)
    const next = join(folder, NEXT, `${one.folder.replace('/', '-')}.tgz`)
    await writeFile(next, createTarball(filesOfNext(one)))
    await runCommand(`npm publish --ignore-scripts --tag next '${next}'`, options)
  }
  if (!packed.some(({ files }) => files.has(STEPS))) throw new Error(`No package has ${STEPS}`)
}

function filesOfNext({ manifest, files }: PackedPackage): Map<string, Buffer> {
  const next = new Map(files)
  const dependencies = Object.fromEntries(
    Object.entries(manifest.dependencies ?? {}).map(([name, version]) => [
      name,
      version === NOW && /^@?roundsman/.test(name) ? NEXT : version,
    ]),
  )
  const text = JSON.stringify({ ...manifest, version: NEXT, dependencies }, null, 2)
  next.set('package.json', Buffer.from(text))
  const steps = files.get(STEPS)
  if (steps) next.set(STEPS, Buffer.from(`${steps.toString()}${NEXT_STEP}`))
  return next
}
