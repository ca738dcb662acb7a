// Generates the Prisma client. Prisma's CLI looks for a native schema engine at every command and would download one.
// `generate` never calls it, so that any executable will do in its place, and no network is needed.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const cli = createRequire(import.meta.url).resolve('prisma/build/index.js')
const { status } = spawnSync(
  process.execPath,
  [cli, 'generate', '--schema', join(root, 'prisma/schema')],
  {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
    },
  },
)
process.exit(status ?? 1)
