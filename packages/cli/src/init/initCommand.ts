import { execFile } from 'node:child_process'
import { chmod, mkdir, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { promisify } from 'node:util'
import { standardLayout, wrap, type Layout } from '../command/layout.ts'
import { parseOptions } from '../command/parseOptions.ts'
import { ForeseenError, type Command, type Terminal } from '../command/runCommand.ts'
import { diffLines } from './diffLines.ts'
import { inspectProduct, type ProductFacts } from './inspectProduct.ts'
import { describeNext, findWarnings } from './describeNext.ts'
import { planInit, type InitPlan } from './planInit.ts'

const USAGE = `Usage: roundsman init [--yes] [--force]

Adds jobs to your product: definitions, handlers, a worker with a first job, roundsman.config.ts, scripts and
dependencies, and on Next.js the console's route. It follows your package manager, modules, database client, framework
and TypeScript. It shows what it would change and asks first; of your own files it changes only package.json. A second
run changes nothing.

  --yes    ask nothing
  --force  go on although package.json has uncommitted changes

Exit code: 0 done, or nothing to do, 1 not done, 2 usage`

/** Has standard input, to ask where somebody can answer. */
export interface InitTerminal extends Terminal {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
  /** A folder in the product. */
  cwd: string
}

export const initCommand: Command<InitTerminal> = {
  usage: USAGE,
  async run(args, terminal) {
    const values = parseOptions(args, { yes: { type: 'boolean' }, force: { type: 'boolean' } })
    const facts = await inspectProduct(terminal.cwd)
    const plan = await planInit(facts)
    const layout = standardLayout(terminal.stdout)
    if (plan.created.length === 0 && plan.manifest === null) {
      terminal.stdout.write('Nothing to do: all that init writes is there.\n')
      return 0
    }
    terminal.stdout.write(describePlan(facts, plan, layout))
    const undo = await findUndo(facts, plan, values.force ?? false)
    if (!values.yes) {
      if (!terminal.stdin.isTTY) {
        terminal.stdout.write(
          '\nNothing was changed: there is no terminal to ask. Run roundsman init --yes.\n',
        )
        return 1
      }
      if (!(await asksYes(terminal, '\nWrite all this? [y/N] '))) {
        terminal.stdout.write('Nothing was changed.\n')
        return 1
      }
    }
    await carryOut(facts, plan)
    terminal.stdout.write(describeNext(facts, plan, undo, layout))
    return 0
  },
}

function describePlan(facts: ProductFacts, plan: InitPlan, { paint, width }: Layout): string {
  const lines = [`${paint('bold', facts.manifest.name ?? facts.root)}: ${describeFacts(facts)}`, '']
  if (plan.created.length > 0) {
    lines.push('New files:')
    const longest = Math.max(...plan.created.map(({ path }) => path.length))
    for (const { path, what } of plan.created) {
      lines.push(`  ${paint('green', path.padEnd(longest))}  ${what}`)
    }
    lines.push('')
  }
  if (plan.manifest !== null) {
    lines.push('package.json:')
    for (const line of diffLines(facts.manifestText, plan.manifest)) {
      const style = line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : 'dim'
      lines.push(`  ${paint(style, line)}`)
    }
    lines.push('')
  }
  for (const warning of findWarnings(facts)) lines.push(paint('yellow', wrap(warning, width)), '')
  return `${lines.join('\n').trimEnd()}\n`
}

function describeFacts(facts: ProductFacts): string {
  const client = facts.client === null ? '' : ` (${facts.client.path})`
  return [
    facts.packageManager,
    ...(facts.framework === 'next' ? [] : [facts.isModule ? 'ES modules' : 'CommonJS']),
    `${facts.database ?? 'no database client yet: pg'}${client}`,
    facts.framework === 'next' ? 'Next.js' : (facts.framework ?? 'no web framework'),
    ...(facts.schemaLibrary === null ? [] : [facts.schemaLibrary]),
  ].join(', ')
}

/** How git can undo it. Null when git does not know this folder. */
async function findUndo(
  { root }: ProductFacts,
  plan: InitPlan,
  isForced: boolean,
): Promise<string | null> {
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', ['-C', root, ...args])).stdout
  // Where a link leads to it, git knows it by another name.
  const knownAs = async (path: string) => relative(root, await realpath(join(root, path)))
  let manifest: string
  let changes: string
  try {
    manifest = await knownAs('package.json')
    changes = await git('status', '--porcelain', '--', manifest)
  } catch {
    return null
  }
  if (plan.manifest !== null && changes.trim() !== '' && !isForced) {
    throw new ForeseenError(
      'package.json has changes that are not committed, and undoing init would undo them as well: commit or stash them first, or say --force',
    )
  }
  const paths = plan.created.map(async ({ path }) => {
    const folder = await firstThere(dirname(path), knownAs)
    return quote(join(folder.knownAs, relative(folder.path, path)))
  })
  const created = (await Promise.all(paths)).join(' ')
  return [
    ...(plan.manifest === null ? [] : [`git checkout ${quote(manifest)}`]),
    ...(created === '' ? [] : [`git clean -f ${created}`]),
  ].join(' && ')
}

/** The nearest folder that is there already, of one to be made. */
async function firstThere(
  path: string,
  knownAs: (path: string) => Promise<string>,
): Promise<{ path: string; knownAs: string }> {
  try {
    return { path, knownAs: await knownAs(path) }
  } catch {
    return await firstThere(dirname(path), knownAs)
  }
}

/** Makes one word of a path, for a shell. */
function quote(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
}

async function asksYes({ stdin, stdout }: InitTerminal, question: string): Promise<boolean> {
  // Without what readline writes to steer a terminal, which stdout does not let through.
  const lines = createInterface({ input: stdin, output: stdout, terminal: false })
  try {
    return /^y(es)?$/i.test((await lines.question(question)).trim())
  } finally {
    lines.close()
  }
}

/**
 * Writes the package.json last: an interruption before leaves only files that git does not know yet. Each file appears
 * whole or not at all, since the next run keeps files that are there.
 */
export async function carryOut(
  { root }: ProductFacts,
  { created, manifest }: InitPlan,
  onFile: (path: string) => void = () => undefined,
): Promise<void> {
  for (const { path, text } of created) {
    onFile(path)
    await writeWhole(join(root, path), text)
  }
  if (manifest !== null) await writeWhole(join(root, 'package.json'), manifest)
}

async function writeWhole(named: string, text: string): Promise<void> {
  await mkdir(dirname(named), { recursive: true })
  // To rename onto a link would replace it.
  const path = await realpath(named).catch(() => named)
  const part = `${path}.${process.pid}.part`
  const mode = await stat(path).then(
    (was) => was.mode,
    () => undefined,
  )
  await writeFile(part, text)
  if (mode !== undefined) await chmod(part, mode)
  await rename(part, path)
}
