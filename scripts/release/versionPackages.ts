import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { captureTool } from '../check/runTool.ts'
import type { OwnManifest } from './toPublishedManifest.ts'

/**
 * Takes the changesets that wait into versions and changelogs, and resolves to the version that follows; without any, to the
 * version that the packages have, since an earlier release took them.
 */
export async function versionPackages(root: string): Promise<string> {
  const waiting = (await readdir(join(root, '.changeset'))).filter((name) => name.endsWith('.md'))
  if (waiting.length > 0) {
    await run(root, 'changeset', ['version'])
    await run(root, 'oxfmt', ['packages'])
  }
  return await readVersion(root)
}

/** Does the same in a copy. It puts the changelogs into a folder, by package, and changes nothing else. */
export async function rehearseVersions(root: string, changelogs: string): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-versions-')))
  const copy = join(folder, 'workspace')
  try {
    // Without history: in a shallow clone changesets looks without end for the commits of its files.
    await run(root, 'git', ['checkout-index', '--all', `--prefix=${copy}/`])
    await run(copy, 'git', ['init', '--quiet'])
    // The changesets as they stand, committed or not.
    await rm(join(copy, '.changeset'), { recursive: true, force: true })
    await cp(join(root, '.changeset'), join(copy, '.changeset'), { recursive: true })
    // Only this: with all of node_modules there, tools would take it for the copy's own.
    await mkdir(join(copy, 'node_modules'))
    await symlink(join(root, 'node_modules/@changesets'), join(copy, 'node_modules/@changesets'))
    const version = await versionPackages(copy)
    await mkdir(changelogs, { recursive: true })
    for (const room of await readdir(join(copy, 'packages'))) {
      const from = join(copy, 'packages', room, 'CHANGELOG.md')
      const text = await readFile(from).catch(() => null)
      if (text !== null) await cp(from, join(changelogs, `${room}.md`))
    }
    return version
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function readVersion(root: string): Promise<string> {
  const text = await readFile(join(root, 'packages/engine/package.json'), 'utf8')
  return (JSON.parse(text) as OwnManifest).version
}

async function run(root: string, program: string, args: readonly string[]): Promise<void> {
  const { exitCode, output } = await captureTool(root, program, args)
  if (exitCode !== 0)
    throw new Error(`${program} ${args.join(' ')} ended with ${exitCode}:\n${output}`)
}
