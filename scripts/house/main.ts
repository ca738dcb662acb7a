// `pnpm docs:house`: draws from the code who imports whom, into docs/architecture.md.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCode } from '../check/readCode.ts'
import { HOUSE_PAGE, withHouse } from './renderHouse.ts'

const root = join(import.meta.dirname, '../..')
const page = join(root, HOUSE_PAGE)

await writeFile(page, withHouse(await readFile(page, 'utf8'), await readCode(root)))
process.stdout.write(`${HOUSE_PAGE}\n`)
