// `pnpm docs:places`: prints functions drawn from the code. A reader has to understand each without opening another file:
// what it takes, what it returns, why it is there.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCode } from '../check/readCode.ts'
import { drawPlaces } from './drawPlaces.ts'

const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' } } })
const { seed = String(Math.floor(Math.random() * 1_000_000)), count = '10' } = values
const { files } = await readCode(join(import.meta.dirname, '../..'))

for (const { path, line, header, text } of drawPlaces(files, { seed, count: Number(count) })) {
  process.stdout.write(`\n==== ${path}:${line}\n\n${header && `${header}\n\n`}${text}\n`)
}
process.stdout.write(`\nDrawn with --seed ${seed}\n`)
