import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  addToCatalogue,
  addToHandlers,
  checkRequest,
  topLevelNames,
  type NewJobRequest,
} from 'roundsman/newJob'
import { runTool } from '../check/runTool.ts'
import { cronVariable } from '../../apps/worker/src/cronVariable.ts'
import { batchName, writeCleanup, writeHandler } from './writeHandler.ts'
import { writeCleanupTest, writeTest } from './writeTest.ts'

const CATALOGUE = 'packages/jobs/src/index.ts'
const HANDLERS = 'apps/worker/src/jobs/index.ts'

export interface CreateJobRequest extends NewJobRequest {
  /** Whether it goes through rows in batches. */
  isCleanup: boolean
}

export type CreateJobResult =
  | { kind: 'created'; written: { path: string; what: string }[] }
  | { kind: 'refused'; reason: string }

/**
 * Writes a new job into the tree and registers it: all of it or, when it fails or refuses, nothing. `names` are the
 * existing jobs.
 */
export async function createJob(
  root: string,
  request: CreateJobRequest,
  names: readonly string[],
): Promise<CreateJobResult> {
  const { name, isCleanup } = request
  const [catalogue, handlers] = await Promise.all(
    [CATALOGUE, HANDLERS].map((path) => readFile(join(root, path), 'utf8')),
  )
  if (catalogue === undefined || handlers === undefined) throw new Error('unreachable')
  const ownPart = batchName(name)
  const identifiers = [...topLevelNames(CATALOGUE, catalogue), ...topLevelNames(HANDLERS, handlers)]
  const reason = checkRequest(request, { names, identifiers, cronVariable })
  if (reason !== null) return { kind: 'refused', reason }

  const created = [
    {
      path: `packages/jobs/src/${name}.ts`,
      what: 'what it is: schedule and policies',
      text: writeContract(request),
    },
    {
      path: `apps/worker/src/jobs/${name}.ts`,
      what: 'what it does',
      text: isCleanup ? writeCleanup(name) : writeHandler(name),
    },
    {
      path: `apps/worker/test/jobs/${name}.test.ts`,
      what: 'what holds for it',
      text: isCleanup ? writeCleanupTest(name) : writeTest(name),
    },
  ]
  for (const { path } of created) {
    if (await exists(join(root, path))) {
      return {
        kind: 'refused',
        reason: `${path} is there already; move it away, or take another name`,
      }
    }
  }
  const edited = [
    {
      path: CATALOGUE,
      what: 'lists it',
      before: catalogue,
      text: addToCatalogue(CATALOGUE, catalogue, name),
    },
    {
      path: HANDLERS,
      what: 'hands it to the worker',
      before: handlers,
      text: addToHandlers(HANDLERS, handlers, {
        imported: isCleanup ? `${name}, ${ownPart}` : name,
        property: isCleanup ? `${name}: ${name}({ doSome: ${ownPart} })` : name,
        name,
      }),
    },
  ]
  const files = [...created, ...edited]
  const own: string[] = []
  try {
    for (const { path, text } of created) {
      await writeFile(join(root, path), text, { flag: 'wx' })
      own.push(path)
    }
    for (const { path, text } of edited) await writeFile(join(root, path), text)
    const [problem] = await runTool(
      root,
      'oxfmt',
      files.map(({ path }) => path),
    )
    if (problem !== undefined) throw new Error(`oxfmt: ${problem}`)
  } catch (error) {
    for (const path of own) await rm(join(root, path), { force: true })
    for (const { path, before } of edited) await writeFile(join(root, path), before)
    throw error
  }
  return { kind: 'created', written: files.map(({ path, what }) => ({ path, what })) }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Writes the job's definition. */
function writeContract({ name, cron, isCleanup }: CreateJobRequest): string {
  const schedule = cron === null ? '' : `  schedule: { cron: '${cron}' },\n`
  return `import { defineJob } from '@roundsman/engine'

export const ${name} = defineJob({
  name: '${name}',
  description: '${describe(name)}${isCleanup ? ', in batches' : ''}.',
${schedule}})
`
}

/** A first description for people, `Send reminders` for sendReminders; the author corrects it. */
function describe(name: string): string {
  const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}
