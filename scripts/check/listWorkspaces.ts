import { readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'

export interface Manifest {
  name?: string
  exports?: Record<string, string | Record<string, string>>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

export interface Workspace {
  /** Relative to the root, for example `packages/db`. */
  folder: string
  /** The last part of the folder, for example `db`. */
  room: string
  manifest: Manifest
}

type EntryTarget = NonNullable<Manifest['exports']>[string]

/** The source file of an entry by what `exports` says of it, relative to the root. */
export function sourceOfEntry(folder: string, target: EntryTarget | undefined): string | undefined {
  const source = typeof target === 'string' ? target : target?.['@roundsman/source']
  return source === undefined ? undefined : posix.join(folder, source)
}

/** Lists the packages and apps, by folder. A folder without a package.json is none. */
export async function listWorkspaces(root: string): Promise<Workspace[]> {
  const groups = await Promise.all(
    ['packages', 'apps'].map(async (group) => {
      const rooms = await readdir(join(root, group)).catch((): string[] => [])
      return Promise.all(rooms.toSorted().map((room) => readWorkspace(root, group, room)))
    }),
  )
  return groups.flat().filter((workspace) => workspace !== undefined)
}

async function readWorkspace(
  root: string,
  group: string,
  room: string,
): Promise<Workspace | undefined> {
  const folder = `${group}/${room}`
  const text = await readFile(join(root, folder, 'package.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : { folder, room, manifest: JSON.parse(text) as Manifest }
}
