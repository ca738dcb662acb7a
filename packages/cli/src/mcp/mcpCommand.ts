import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createFetchHandler } from '@roundsman/admin'
import { withEngineJobs } from '@roundsman/engine'
import { createJobsClient } from '@roundsman/engine/client'
import { McpServer, type CallToolResult } from '@modelcontextprotocol/server'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { z } from 'zod'
import { currentUser } from '../command/currentUser.ts'
import { parseOptions } from '../command/parseOptions.ts'
import type { Command, StoppableTerminal } from '../command/runCommand.ts'
import { asForeseen } from '../config/asForeseen.ts'
import { requireConfig, requireDatabaseUrl } from '../config/openProduct.ts'
import { ACTS, READS, type Tool } from './tools.ts'

const USAGE = `Usage: roundsman mcp [--allow-acts] [--actor NAME]

Serves a coding agent over standard input and output, by the Model Context Protocol: problems, jobs, runs and their
steps, why work waits, schedules, search and the documents. The agent starts it; see .mcp.json. Like the console for
people without the right to see payloads, it shows no payloads, and of errors only code, class and stack.

  --allow-acts  also run, cancel, approve, pause, resume, retry, discard and send signals. Each needs a reason, and is recorded
  --actor NAME  recorded with each act. Default: this account's name, with "by an agent"

Exit code: 0 the agent has left, 1 the environment needs attention, 2 usage`

export const mcpCommand: Command<StoppableTerminal> = {
  usage: USAGE,
  async run(args, terminal) {
    const values = parseOptions(args, {
      'allow-acts': { type: 'boolean' },
      actor: { type: 'string' },
    })
    const loaded = await requireConfig()
    const databaseUrl = requireDatabaseUrl(loaded, terminal.variables)
    const { jobs, schema } = loaded.config
    const client = createJobsClient({ databaseUrl, ...(schema !== undefined && { schema }) })
    const act = values['allow-acts'] === true
    const actor = values.actor ?? `${currentUser()}, by an agent`
    const answer = createFetchHandler({
      client,
      jobs: withEngineJobs(jobs),
      consolePath: null,
      authorize: () => ({ actor, view: true, act }),
    })
    try {
      await asForeseen(() => client.start())
      const server = createServer(answer, act)
      const stop = terminal.listenForStop()
      const { promise: closed, resolve } = Promise.withResolvers<void>()
      // The server has this callback and no events.
      Object.assign(server.server, { onclose: resolve })
      await server.connect(new StdioServerTransport())
      await Promise.race([closed, once(process.stdin, 'end'), once(stop, 'abort')])
      await server.close()
    } finally {
      await answer.close()
      await client.stop()
    }
    return 0
  },
}

type Answer = (request: Request) => Promise<Response>

function createServer(answer: Answer, mayAct: boolean): McpServer {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const server = new McpServer({ name: 'roundsman', version })
  const add = (tools: Readonly<Record<string, Tool>>, readOnlyHint: boolean) => {
    for (const [name, { description, input, route }] of Object.entries(tools)) {
      const config = { description, inputSchema: input, annotations: { readOnlyHint } }
      server.registerTool(name, config, (given) => ask(answer, route, given))
    }
  }
  add(READS, true)
  if (mayAct) add(ACTS, false)
  server.registerTool(
    'docs',
    {
      description:
        'Searches the documents of Roundsman, or returns a page. Read the page agents.md before you write jobs.',
      inputSchema: z.object({
        page: z.string().optional().describe('The path of a page, as a search returned it'),
        q: z.string().optional().describe('Words that a page should have'),
      }),
      annotations: { readOnlyHint: true },
    },
    (given) => readDocs(given),
  )
  return server
}

/** Asks the API that the console also asks, and returns its answer as text. */
async function ask(
  answer: Answer,
  route: Tool['route'],
  given: Record<string, unknown>,
): Promise<CallToolResult> {
  const [method = 'GET', pattern = ''] = route.split(' ')
  const rest = new Map(Object.entries(given).filter(([, value]) => value !== undefined))
  const path = pattern.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = String(rest.get(name))
    rest.delete(name)
    return encodeURIComponent(value)
  })
  // URL removes a part `.` or `..`, and the address would be that of another route.
  if (/\/\.\.?(?:\/|$)/.test(path)) return toResult('No name is "." or ".."', true)
  const url = new URL(`http://localhost/api${path}`)
  const body = JSON.stringify(Object.fromEntries(rest))
  if (method === 'GET') {
    for (const [name, value] of rest) url.searchParams.set(name, String(value))
  }
  const response = await answer(
    new Request(url, {
      method,
      ...(method !== 'GET' && { headers: { 'content-type': 'application/json' }, body }),
    }),
  )
  return toResult((await response.text()) || 'Done', !response.ok)
}

const DOCS = new URL('../../docs/', import.meta.url)
/** In the repository, the pages lie beside the packages. */
const DOCS_OF_REPOSITORY = new URL('../../../../docs/', import.meta.url)
const MAX_FOUND = 10

async function readDocs({ page, q = '' }: { page?: string | undefined; q?: string | undefined }) {
  const folder = await readdir(DOCS).then(
    () => DOCS,
    () => DOCS_OF_REPOSITORY,
  )
  const names = (await readdir(folder, { recursive: true }))
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.md') && !/^(?:adr|reference)\//.test(name))
    .toSorted()
  if (page !== undefined) {
    if (!names.includes(page)) return toResult(`There is no page ${page}: search with q`, true)
    return toResult(await readFile(new URL(page, folder), 'utf8'))
  }
  const words = q.toLowerCase().match(/[\w.]+/g) ?? []
  const pages = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8')
      const lines = text.split('\n')
      const has = (line: string) => words.filter((word) => line.toLowerCase().includes(word)).length
      const best = lines.toSorted((one, other) => has(other) - has(one))[0] ?? ''
      // A word in the name or title of a page weighs more than one somewhere in it.
      const score = has(text) + has(best) + 2 * has(`${name} ${lines[0]}`)
      return { name, title: lines[0]?.replace(/^# /, ''), best: best.slice(0, 300), score }
    }),
  )
  const found = pages
    .filter(({ score }) => words.length === 0 || score > 0)
    .toSorted((one, other) => other.score - one.score)
    .slice(0, words.length === 0 ? pages.length : MAX_FOUND)
  return toResult(
    found
      .map(({ name, title, best }) => `${name}: ${title}${words.length ? `\n  ${best}` : ''}`)
      .join('\n') || 'No page has these words',
  )
}

function toResult(text: string, isError = false): CallToolResult {
  return { content: [{ type: 'text', text }], isError }
}
