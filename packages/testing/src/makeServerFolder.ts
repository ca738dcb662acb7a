import { chmod, mkdir, mkdtemp, realpath, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Linux's file system in memory: copying a database there takes a tenth of the time that it takes on a disk. */
const MEMORY = '/dev/shm'
/** More than a run of all tests takes: its WAL grows to 1 GB at most. A container may have next to none. */
const NEEDED_BYTES = 2 * 2 ** 30

/** A new folder for a PostgreSQL that nobody needs for long, in memory unless a `parent` is named. The caller removes it. */
export async function makeServerFolder(prefix: string, parent?: string): Promise<string> {
  const within = parent ?? ((await hasRoomInMemory()) ? MEMORY : tmpdir())
  await mkdir(within, { recursive: true })
  const folder = await realpath(await mkdtemp(join(within, prefix)))
  // mkdtemp keeps others out, and when started by root PostgreSQL runs under another account.
  await chmod(folder, 0o755)
  return folder
}

async function hasRoomInMemory(): Promise<boolean> {
  return await statfs(MEMORY).then(
    ({ bavail, bsize }) => bavail * bsize >= NEEDED_BYTES,
    () => false,
  )
}
