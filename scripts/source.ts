// Runs a TypeScript entry from source. It generates the Prisma client when its schema changed, and then becomes the
// entry's process, so that signals, exit code and terminal are the entry's own.
import { spawnSync } from 'node:child_process'
import { generateWhenStale } from './generateWhenStale.ts'

const [entry, ...args] = process.argv.slice(2)
if (entry === undefined) {
  process.stderr.write('Usage: node scripts/source.ts <entry.ts> [arguments]\n')
  process.exit(2)
}

try {
  await generateWhenStale()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

const command = [
  `--import=${new URL('enableCompileCache.ts', import.meta.url).href}`,
  '--conditions=@roundsman/source',
  entry,
  ...args,
]
if (process.platform === 'win32') {
  // Windows can't replace a process by another.
  process.exit(spawnSync(process.execPath, command, { stdio: 'inherit' }).status ?? 1)
}
process.execve?.(process.execPath, [process.execPath, ...command], process.env)
