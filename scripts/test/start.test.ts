// Processes: runs and kills stacks.
import { once } from 'node:events'
import { access, mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { createTestDatabase, waitFor, type SpawnedProcess } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findProgram, postgresPid, stillRunning } from './processes.ts'
import {
  makePlace,
  processesOf,
  runVerify,
  spawnStart,
  untilReady,
  type StackPlace,
} from './stack.ts'

const START_TIMEOUT_MS = 150_000

let place: StackPlace
/** A stack that a test left running for the next one that needs one, because starting takes most of the time. */
let running: SpawnedProcess | undefined

beforeAll(async () => {
  place = await makePlace()
})

afterAll(async () => {
  await place.remove()
})

describe('start', { timeout: START_TIMEOUT_MS }, () => {
  test('prints one box, passes verify.sh, and SIGTERM leaves nothing', async () => {
    // Started as a newcomer does.
    const begunAt = Date.now()
    const start = spawnStart(place, { DEMO_JOBS: undefined })
    await untilReady(start)
    const output = start.stdout.join('\n')
    expect(output).toMatch(/Building… +\d+\.\d s/)
    expect(output.match(/╭─ Roundsman/g)).toHaveLength(1)
    expect(output).toContain(`http://127.0.0.1:${place.port}/docs`)
    expect(output).toContain(`http://127.0.0.1:${place.workerPort}/health/ready`)
    expect(output).toContain(`Inbox      http://127.0.0.1:${place.inboxPort} `)
    expect((await fetch(`http://127.0.0.1:${place.inboxPort}/health`)).status).toBe(200)
    // The worker knows the inbox, so it does not warn that no mail server is set.
    expect(output).toContain('"msg":"Jobs scheduler enabled"')
    expect(output).not.toContain('no mail server is set')
    expect(output).toMatch(/owner@example\.com +owner/)
    expect(output).toContain('roundsman-demo')
    expect(output).toMatch(/Jobs +enabled/)
    expect(output).toMatch(/cleanupPreviewSessions +.*\d\d:\d\d, in \d+ (s|min)/)
    expect(output).toMatch(/cleanupI18nCache +.*\d\d:\d\d, in \d/)
    // No colours and no cursor movements where no terminal shows them.
    expect(output).not.toContain('\u001b')

    const verify = await runVerify({ PORT: String(place.port) })
    expect(verify.stdout).not.toContain('FAIL')
    expect(verify.code).toBe(0)

    // What people see first in the console: the demo's jobs with their history, and a worker that takes their work.
    const token = await logIn('admin@example.com')
    const listed = await get<{ jobs: { name: string }[] }>('/api/jobs', token)
    expect(listed.jobs.map(({ name }) => name)).toContain('demoImportFeed')
    await waitFor(async () => {
      const query = 'name=demoSyncOrder&limit=1'
      const { runs } = await get<{ runs: { startedAt: string }[] }>(
        `/api/jobs/runs?${query}`,
        token,
      )
      return Date.parse(runs[0]?.startedAt ?? '') > begunAt
    })

    const pids = await processesOf(start, place)
    expect(pids.length).toBeGreaterThanOrEqual(4)
    expect(await start.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(await stillRunning(pids)).toEqual([])
    expect(await postgresPid(place.dataDir)).toBeUndefined()
    expect(start.stdout.join('\n')).toContain('[worker] ')
    expect(start.stdout.filter((line) => line.includes('draining'))).toHaveLength(1)
  })

  test('of two starts in the same moment one gets there, the other names the ports', async () => {
    const starts = [spawnStart(place), spawnStart(place)]
    const [loser, winner] = await Promise.race(
      [starts, starts.toReversed()].map(async ([one, other]) => {
        await one!.exited
        return [one!, other!] as const
      }),
    )
    expect(await loser.exited).toEqual({ code: 1, signal: null })
    expect(loser.stderr.join('\n')).toMatch(/ PORT: port \d+ is taken/)
    expect(loser.stderr.join('\n')).toMatch(/ WORKER_PORT: port \d+ is taken/)
    expect(loser.stdout.join('\n')).not.toContain('Ctrl-C stops everything')
    await untilReady(winner)
    const verified = await runVerify({ PORT: String(place.port) })
    expect(verified.code, verified.stdout).toBe(0)
    running = winner
  })

  test('a second start finds what the first one stored, and SIGINT leaves nothing', async () => {
    const start = await takeRunning()
    const { token } = await createPreview(await logIn('owner@example.com'))
    const pids = await processesOf(start, place)
    expect(await start.kill('SIGINT')).toEqual({ code: 0, signal: null })
    expect(await stillRunning(pids)).toEqual([])
    expect(await postgresPid(place.dataDir)).toBeUndefined()

    const again = spawnStart(place)
    await untilReady(again)
    expect((await fetch(`${api()}/api/public/preview/${token}`)).status).toBe(200)
    running = again
  })

  test('after SIGKILL everything ends by itself, and a start in that moment works', async () => {
    const start = await takeRunning()
    const pids = await processesOf(start, place)
    await start.kill('SIGKILL')

    const again = spawnStart(place)
    await untilReady(again)
    const postgres = await postgresPid(place.dataDir)
    await waitFor(async () => (await stillRunning(pids)).every((pid) => pid === postgres), {
      message: 'The end of the API and the worker of the killed start',
    })

    const pidsAgain = await processesOf(again, place)
    await again.kill('SIGKILL')
    await waitFor(async () => (await stillRunning(pidsAgain)).length === 0, {
      timeoutMs: 30_000,
      message: 'The end of all that the killed start ran',
    })
    expect(await postgresPid(place.dataDir)).toBeUndefined()
  })

  test('a process that dies while it starts is named, with its last lines', async () => {
    const saboteur = `${place.dataDir}/saboteur.cjs`
    await mkdir(place.dataDir, { recursive: true })
    await writeFile(
      saboteur,
      `if (process.argv[1].includes('worker')) { console.log('no wish to work'); process.exit(5) }`,
    )
    const start = spawnStart(place, { NODE_OPTIONS: `--require "${saboteur}"` })
    expect(await start.exited).toEqual({ code: 1, signal: null })
    expect(start.stderr).toEqual([
      'The worker ended (exit code 5) while it started.',
      'Its last lines:',
      '  no wish to work',
    ])
    expect(start.stdout.join('\n')).not.toContain('Ctrl-C stops everything')
    expect(await postgresPid(place.dataDir)).toBeUndefined()
  })

  test('runs no inbox beside a mail server that is named', async () => {
    const start = spawnStart(place, { SMTP_URL: 'smtp://somebody:hush@127.0.0.1:1' })
    await untilReady(start)
    await expect(fetch(`http://127.0.0.1:${place.inboxPort}/health`)).rejects.toThrow(
      'fetch failed',
    )
    expect(start.stdout.join('\n')).not.toMatch(/Inbox|no mail server is set|hush/)
    running = start
  })

  test('when the worker dies, the others are stopped and start says so', async () => {
    const start = await takeRunning()
    const pids = await processesOf(start, place)
    process.kill(await findProgram(pids, 'apps/worker/dist/main.js'), 'SIGKILL')
    expect(await start.exited).toEqual({ code: 1, signal: null })
    expect(start.stderr.join('\n')).toContain('The worker ended (SIGKILL): stopping everything.')
    expect(await stillRunning(pids)).toEqual([])
    expect(await postgresPid(place.dataDir)).toBeUndefined()
  })

  test('a second wish to stop does not wait for what is under way', async () => {
    const start = spawnStart(place)
    await untilReady(start)
    const pids = await processesOf(start, place)
    // The API would wait ten seconds for this request, which never ends.
    const socket = connect(place.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.write(
      'POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
    )
    await waitFor(async () => (await fetch(`${api()}/health/live`)).ok)
    const startedAt = performance.now()
    process.kill(start.pid, 'SIGTERM')
    await start.waitForLine('Stopping…')
    let exit: { code: number | null } | undefined
    void start.exited.then((ended) => {
      exit = ended
    })
    await waitFor(
      () => {
        if (!exit) process.kill(start.pid, 'SIGINT')
        return exit
      },
      { intervalMs: 100 },
    )
    expect(exit).toEqual({ code: 130, signal: null })
    expect(performance.now() - startedAt).toBeLessThan(8_000)
    expect(await stillRunning(pids)).toEqual([])
    expect(await postgresPid(place.dataDir)).toBeUndefined()
    socket.destroy()
  })

  test('uses the database that DATABASE_URL names, adds no demo data in production', async () => {
    const database = await createTestDatabase({ migrated: false })
    const start = spawnStart(place, {
      DATABASE_URL: database.url,
      REPLIT_DEPLOYMENT: '1',
      JOBS_ENABLED: 'false',
    })
    await untilReady(start)
    const output = start.stdout.join('\n')
    const { host, pathname, username, password } = new URL(database.url)
    expect(output).toContain(`${host}${pathname.slice(0, 20)}`)
    expect(output).toMatch(/Jobs +disabled: JOBS_ENABLED is false/)
    expect(output).not.toContain('cleanupI18nCache  ')
    expect(output).not.toContain('owner@example.com')
    expect(output).not.toContain('Inbox')
    expect(output).not.toContain(`${username}:${password}`)
    expect(await start.kill()).toEqual({ code: 0, signal: null })
    await database.drop()
  })
})

describe('what keeps it from starting', { timeout: START_TIMEOUT_MS }, () => {
  test('every wrong variable of both apps is reported, each once, and nothing is started', async () => {
    const fresh = await makePlace()
    const start = spawnStart(fresh, {
      PORT: 'http',
      WORKER_PORT: '99999',
      INBOX_PORT: '-1',
      JOBS_ENABLED: 'perhaps',
      LOG_LEVEL: 'loud',
      CLEANUP_I18N_CACHE_CRON: 'daily',
      DATABASE_URL: 'mysql://somebody:hush@localhost/x',
    })
    expect((await start.exited).code).toBe(1)
    const problems = start.stderr.filter((line) => line.startsWith('  - '))
    expect(problems.map((line) => line.slice(4, line.indexOf(':'))).toSorted()).toEqual([
      'CLEANUP_I18N_CACHE_CRON',
      'DATABASE_URL',
      'INBOX_PORT',
      'JOBS_ENABLED',
      'LOG_LEVEL',
      'PORT',
      'WORKER_PORT',
    ])
    expect([...start.stdout, ...start.stderr].join('\n')).not.toContain('hush')
    await expect(access(`${fresh.dataDir}/postgres`)).rejects.toThrow('ENOENT')
    await fresh.remove()
  })

  test('a database with tables of another baseline stays as it is, and start prints what sets it aside', async () => {
    const old = await makePlace()
    const { dataDir } = old
    const look = async (sql: string) => {
      const server = await acquireEmbeddedPostgres({ dataDir })
      const client = new pg.Client(server.url)
      await client.connect()
      const { rows } = await client.query<{ name: string }>(sql)
      await client.end()
      await server.release()
      return rows.map(({ name }) => name)
    }
    await look('create table "JobRun" (id int)')
    const start = spawnStart(old)
    expect((await start.exited).code).toBe(1)
    expect(start.stderr.join('\n')).toMatch(/DATA_DIR: .* of another baseline, which has no name/)
    expect(start.stderr.join('\n')).toContain(`run mv '${dataDir}' '${dataDir}.before'`)
    expect(await postgresPid(dataDir)).toBeUndefined()
    const listTables = `select relname as name from pg_class where relnamespace = 'public'::regnamespace`
    expect(await look(listTables)).toEqual(['JobRun'])
    await old.remove()
  })
})

async function takeRunning(): Promise<SpawnedProcess> {
  const start = running ?? spawnStart(place)
  running = undefined
  await untilReady(start)
  return start
}

function api(): string {
  return `http://127.0.0.1:${place.port}`
}

async function logIn(email: string): Promise<string> {
  const { token } = await post('/api/auth/login', { email, password: 'roundsman-demo' })
  return token as string
}

async function createPreview(bearer: string): Promise<{ token: string }> {
  const body = { label: 'kept', ttlSeconds: 3_600 }
  return (await post('/api/preview-sessions', body, bearer)) as { token: string }
}

async function get<Answer>(path: string, bearer: string): Promise<Answer> {
  const response = await fetch(api() + path, { headers: { authorization: `Bearer ${bearer}` } })
  return (await response.json()) as Answer
}

async function post(
  path: string,
  body: unknown,
  bearer?: string,
): Promise<Record<string, unknown>> {
  const response = await fetch(api() + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(bearer && { authorization: `Bearer ${bearer}` }),
    },
    body: JSON.stringify(body),
  })
  return (await response.json()) as Record<string, unknown>
}
