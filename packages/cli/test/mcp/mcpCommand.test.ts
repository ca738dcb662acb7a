// Not quick: starts the command.
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addMcpServer } from '../../src/mcp/addMcpServer.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')

let database: TestDatabase
let folder: string
let rows: pg.Pool
beforeAll(async () => {
  database = await createTestDatabase()
  rows = new pg.Pool({ connectionString: database.url, max: 1 })
  folder = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-mcp-')))
  await writeFile(join(folder, 'package.json'), '{}')
  await writeFile(
    join(folder, 'roundsman.config.mjs'),
    `import { defineJob, definePayload } from ${JSON.stringify(import.meta.resolve('@roundsman/engine'))}
export default {
  schema: 'public',
  jobs: [defineJob({ name: 'greet', description: 'Greets.', payload: definePayload((value) => value) })],
}
`,
  )
})
afterAll(async () => {
  await rows.end()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

/** Starts the command as an agent does, and hands its tools to `use`. */
async function asAgent(
  args: string[],
  use: (agent: { client: Client; call: typeof callTool }) => Promise<void>,
): Promise<void> {
  const client = new Client({ name: 'test', version: '1' })
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['--conditions=@roundsman/source', MAIN, 'mcp', ...args],
    cwd: folder,
    env: { ...(process.env as Record<string, string>), DATABASE_URL: database.url },
  })
  await client.connect(transport)
  async function callTool(name: string, given: Record<string, unknown> = {}) {
    const { content, isError } = await client.callTool({ name, arguments: given })
    const [first] = content
    return { text: first?.type === 'text' ? first.text : '', isError }
  }
  try {
    await use({ client, call: callTool })
  } finally {
    await client.close()
  }
}
declare function callTool(
  name: string,
  given?: Record<string, unknown>,
): Promise<{ text: string; isError: boolean | undefined }>

describe('an agent that may only look', () => {
  it('finds problems, jobs, runs, work, schedules and pages', async () => {
    await asAgent([], async ({ client, call }) => {
      const { tools } = await client.listTools()
      expect(tools.every(({ annotations }) => annotations?.readOnlyHint === true)).toBe(true)
      await expect(call('run_job', { name: 'greet', reason: 'to see' })).rejects.toThrow(
        'not found',
      )

      expect(JSON.parse((await call('problems')).text)).toMatchObject({ jobs: { total: 2 } })
      expect((await call('jobs')).text).toContain('Greets.')
      expect(JSON.parse((await call('job', { name: 'greet' })).text)).toHaveProperty('job')
      for (const tool of ['runs', 'waiting_work', 'dead_letters', 'limits', 'workers']) {
        expect(await call(tool), tool).toMatchObject({ isError: false })
      }
      expect(await call('schedules', { name: 'greet' })).toMatchObject({ isError: false })
      expect(await call('ticks', { name: 'greet' })).toMatchObject({ isError: false })
      expect((await call('search', { q: 'greet' })).text).toContain('Greets.')
      expect(await call('run', { id: crypto.randomUUID() })).toMatchObject({ isError: true })
      const unknown = await call('steps', { workId: crypto.randomUUID() })
      expect(unknown).toMatchObject({
        isError: true,
        text: expect.stringContaining('no record of work') as string,
      })
      expect((await call('docs', { q: 'unique key' })).text).toContain('concepts/uniqueKey.md')
      expect((await call('docs', { page: 'agents.md' })).text).toContain('at least once')
      expect((await call('docs', { page: '../package.json' })).isError).toBe(true)
    })
  })
})

describe('an agent that may act', () => {
  it('has each act recorded with its name and reason, and sees no payload', async () => {
    await asAgent(['--allow-acts', '--actor', 'ada, by an agent'], async ({ call }) => {
      const payload = { name: 'a secret name' }
      const told = await call('run_job', { name: 'greet', reason: 'to see', payload })
      const { workId } = JSON.parse(told.text) as { workId: string }

      const explained = await call('explain_work', { workId })
      const waiting = await call('waiting_work')
      expect(waiting.text).toContain(workId)
      expect(explained.text + waiting.text).not.toContain('a secret name')
      await call('pause_queue', { name: 'greet', reason: 'too many' })
      expect((await call('pause_queue', { name: 'greet' })).isError).toBe(true)
      for (const name of ['.', '..'])
        expect(await call('pause_queue', { name, reason: 'a slip' })).toMatchObject({
          isError: true,
          text: 'No name is "." or ".."',
        })
    })
    const { rows: acts } = await rows.query(
      'select action, actor, reason from "JobAction" order by "at"',
    )
    expect(acts).toEqual([
      expect.objectContaining({ actor: 'ada, by an agent', reason: 'to see' }),
      expect.objectContaining({ actor: 'ada, by an agent', reason: 'too many' }),
    ])
  })
})

describe('.mcp.json', () => {
  it('gets the server beside others, once', () => {
    const added = addMcpServer(
      '{"mcpServers":{"other":{"command":"x"}},"y":1}',
      'pnpm exec roundsman mcp',
    )

    expect(JSON.parse(added ?? '')).toEqual({
      mcpServers: {
        other: { command: 'x' },
        roundsman: { command: 'pnpm', args: ['exec', 'roundsman', 'mcp'] },
      },
      y: 1,
    })
    expect(addMcpServer(added, 'npx roundsman mcp')).toBe(added)
    expect(addMcpServer('// mine', 'npx roundsman mcp')).toBeNull()
  })
})
