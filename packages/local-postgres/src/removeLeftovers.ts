import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive } from './isAlive.ts'

/** Another process may have got the maker's pid, so that the maker seems alive for ever. Making takes less than this. */
const LEFTOVER_AGE_MS = 10 * 60_000

/** Removes the half-made folders `….init-<pid>-…` and `….copy-<pid>-…` of processes that were killed. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const entry of await readdir(folder).catch(() => [])) {
    const maker = /\.(?:init|copy)-(\d+)-[0-9a-f]{8}$/.exec(entry)?.[1]
    if (maker === undefined) continue
    const path = join(folder, entry)
    const madeAt = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0
    if (isAlive(Number(maker)) && Date.now() - madeAt < LEFTOVER_AGE_MS) continue
    // Another process may be removing it too. If it stays, the next start tries again.
    await rm(path, { recursive: true, force: true }).catch(() => undefined)
  }
}
