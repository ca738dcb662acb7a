import { dirname } from 'node:path/posix'
import type { Manifest } from '../check/listWorkspaces.ts'
import type { Code } from '../check/readCode.ts'

/** What readCode finds in a tree of these files, by path. */
export function codeOf(files: Readonly<Record<string, string>>): Code {
  const manifests = Object.entries(files).filter(([path]) => path.endsWith('package.json'))
  return {
    files: new Map(Object.entries(files).filter(([path]) => /\.[cm]?[jt]sx?$/.test(path))),
    workspaces: manifests.map(([path, text]) => {
      const folder = dirname(path)
      const room = folder.slice(folder.indexOf('/') + 1)
      return { folder, room, manifest: JSON.parse(text) as Manifest }
    }),
  }
}
