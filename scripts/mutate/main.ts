import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { findMutants } from './findMutants.ts'

const USAGE = `Usage: pnpm mutate <file> <test file or folder>... [--only TEXT]

Makes one change after another to the SQL of a file, runs the tests, and lists what no test has noticed. It
changes the file in place and puts it back: use a clone of its own.`

const args = process.argv.slice(2)
const onlyAt = args.indexOf('--only')
const [, only] = onlyAt === -1 ? [] : args.splice(onlyAt, 2)
const [file, ...tests] = args
if (file === undefined || tests.length === 0) {
  process.stderr.write(`${USAGE}\n`)
  process.exit(2)
}

const source = readFileSync(file, 'utf8')
const mutants = findMutants(source).filter(({ what }) => only === undefined || what.includes(only))
const passes = () =>
  spawnSync('vitest', ['run', '--bail', '1', '--maxWorkers', '2', ...tests], { stdio: 'ignore' })
    .status === 0
let stopped = false
process.on('SIGINT', () => (stopped = true))

if (!passes()) throw new Error(`${tests.join(' ')} fail without any change: mend that first`)
const survivors: string[] = []
try {
  for (const [at, { start, end, text, line, what }] of mutants.entries()) {
    if (stopped) break
    writeFileSync(file, `${source.slice(0, start)}${text}${source.slice(end)}`)
    const told = `${file}:${line} ${what.replaceAll(/\s+/g, ' ')}`
    const survives = passes() && !stopped
    if (survives) survivors.push(told)
    process.stdout.write(
      `${at + 1}/${mutants.length} ${survives ? 'SURVIVED' : 'killed  '} ${told}\n`,
    )
  }
} finally {
  writeFileSync(file, source)
}
process.stdout.write(`${survivors.length} of ${mutants.length} survived\n`)
