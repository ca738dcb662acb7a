import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCommandLine } from '../command/parseOptions.ts'
import { ForeseenError, UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { requireConfig } from '../config/openProduct.ts'
import { callOf } from '../init/findTooling.ts'
import { findStyle, inStyle, type Style } from '../init/style.ts'
import { listSources } from '../init/listSources.ts'
import { needRolldown } from '../program/needRolldown.ts'
import { checkRequest, type NewJobRequest } from './checkRequest.ts'

const USAGE = `Usage: roundsman new <name> [--schedule "<cron>"]

Adds a job where init has put the others: its definition, and a handler for you to write.

  <name>               what the job does, in camelCase: sendReminders
  --schedule "<cron>"  when it runs, in UTC: "0 4 * * *". Default: only when it is enqueued

Exit code: 0 written, 1 not written, 2 usage, with nothing changed`

export const newCommand: Command = { usage: USAGE, run: writeJob }

async function writeJob(args: string[], terminal: Terminal): Promise<number> {
  const request = readRequest(args)
  const { addDefinition, addHandler, topLevelNames } = await needRolldown(
    'new',
    () => import('./editModule.ts'),
  )
  const { config } = await requireConfig()
  const root = process.cwd()
  const definitions = await findModule(root, /^export const jobs\b/m)
  const handlers = await findModule(root, /^export const handlers\b/m)
  const reason = checkRequest(request, {
    names: config.jobs.map(({ name }) => name),
    identifiers: [definitions, handlers].flatMap(({ path, text }) => topLevelNames(path, text)),
  })
  if (reason !== null) throw new UsageError(reason)
  const style = findStyle([definitions.text, handlers.text])
  const definition = inStyle(writeDefinition(request), style)
  const edited = [
    {
      path: definitions.path,
      text: addDefinition(definitions.path, definitions.text, { name: request.name, definition }),
    },
    {
      path: handlers.path,
      text: addHandler(handlers.path, handlers.text, writeHandler(request, style)),
    },
  ]
  for (const { path, text } of edited) await writeFile(join(root, path), text)
  const call = await callOf(`once ${request.name}`, root)
  terminal.stdout.write(
    `Written into ${definitions.path} and ${handlers.path}. It needs no migration.
Until you write the handler, each run fails and says so. Try it: ${call} --dry-run
A worker knows it from its next start on; roundsman dev starts anew by itself.\n`,
  )
  return 0
}

function readRequest(args: string[]): NewJobRequest {
  const { values, positionals } = parseCommandLine(args, { schedule: { type: 'string' } })
  const [name, ...rest] = positionals
  if (name === undefined) throw new UsageError('Which name should the job have?')
  if (rest.length > 0) {
    throw new UsageError(
      `One job at a time; "${rest.join(' ')}" is too much. A cron expression goes behind --schedule, in quotes`,
    )
  }
  return { name, cron: values.schedule ?? null }
}

interface Module {
  path: string
  text: string
}

/** Finds the one file of the product that is about jobs and has this declaration. */
async function findModule(root: string, declares: RegExp): Promise<Module> {
  const found: Module[] = []
  for (const path of await listSources(root)) {
    const text = await readFile(join(root, path), 'utf8')
    if (text.includes('@roundsman/engine') && declares.test(text)) found.push({ path, text })
  }
  const [first, ...others] = found
  if (first && others.length === 0) return first
  const what = declares.source.replace(/[\^\\b]+/g, '')
  throw new ForeseenError(
    first === undefined
      ? `No file has \`${what} …\` as init writes it: write the job by hand`
      : `${found.map(({ path }) => path).join(' and ')} both have \`${what} …\`: write the job by hand`,
  )
}

function writeDefinition({ name, cron }: NewJobRequest): string {
  const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return `export const ${name} = defineJob({
  name: '${name}',
  description: '${words.charAt(0).toUpperCase()}${words.slice(1)}.',
${cron === null ? '' : `  schedule: { cron: '${cron}' },\n`}});
`
}

function writeHandler({ name }: NewJobRequest, style: Style): string {
  return inStyle(
    `  async ${name}() {\n    throw new Error('${name} is still to be written');\n  }`,
    style,
  )
}
