import { waitFor } from '@roundsman/testing'
import { pino, type Logger } from 'pino'
import { Writable } from 'node:stream'
import { createLogger, format, transports } from 'winston'
import { describe, expect, it, test, vi } from 'vitest'
import { defineJob, type HostLogger, type RunContext } from '../../src/index.ts'
import { containedLog, isLevelOn } from '../../src/database/containedLog.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'

const talks = defineJob({ name: 'talks', description: 'Writes a line.' })
const fails = defineJob({ name: 'fails', description: 'Fails.', retry: { limit: 0 } })
const jobs = [talks, fails] as const

const { runtime, client } = useClientRuntime()

test('a logger of which every line fails costs no run, no round and no drain', async () => {
  const log: Logger = pino(
    { level: 'trace' },
    {
      write() {
        throw new Error('the worker has exited')
      },
    },
  )
  const fatal: unknown[] = []
  const worker = await startTestWorker(runtime, {
    jobs,
    log,
    onFatal: (error) => void fatal.push(error),
    handlers: {
      async talks({ log: own }: RunContext<Record<string, never>, unknown>) {
        own.info('a line')
      },
      async fails() {
        throw new Error('it failed')
      },
    },
  })
  await client.enqueueNow(fails, {})
  await client.enqueueNow(talks, {})
  // Work that has lost workers logs that it waits to run alone.
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "losses", "bytes", "payload") values (gen_random_uuid(), 'talks', 2, 2, '{}')`,
  )
  const ends = () =>
    runtime.column<string>(
      `select "name" || ' ' || "status"::text as end from "JobRun" where "endedAt" is not null order by 1`,
    )
  await waitFor(async () => (await ends()).length === 3)
  expect(await ends()).toEqual(['fails failed', 'talks success', 'talks success'])
  expect(worker.isReady()).toBe(true)
  await worker.stop({ drainTimeoutMs: 0 })
  expect(fatal).toEqual([])
})

describe('a line with fields', () => {
  function writeAll(host: HostLogger | undefined): void {
    const log = containedLog(host)
    const child = log.child({ runId: 'r1' }).child({ name: 'talks' })
    child.info({ n: 1 }, 'said')
    child.error({ err: new Error('refused') }, 'failed')
    child.debug('whispered')
    child.fatal('over')
  }

  function collect(): { stream: Writable; lines: () => Record<string, unknown>[] } {
    let text = ''
    const write = (chunk: Buffer, _encoding: string, done: () => void) => {
      text += String(chunk)
      done()
    }
    return {
      stream: new Writable({ write }),
      lines: () =>
        text
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as Record<string, unknown>),
    }
  }

  it('arrives at pino', () => {
    const { stream, lines } = collect()
    writeAll(pino({ base: { app: 'a' } }, stream))
    expect(lines()).toMatchObject([
      { level: 30, app: 'a', runId: 'r1', name: 'talks', n: 1, msg: 'said' },
      { level: 50, runId: 'r1', err: { message: 'refused', type: 'Error' }, msg: 'failed' },
      { level: 60, name: 'talks', msg: 'over' },
    ])
  })

  it('arrives at winston, an error with its message and stack', () => {
    const { stream, lines } = collect()
    writeAll(
      createLogger({ format: format.json(), transports: [new transports.Stream({ stream })] }),
    )
    expect(lines()).toMatchObject([
      { level: 'info', runId: 'r1', name: 'talks', n: 1, message: 'said' },
      { level: 'error', runId: 'r1', err: { message: 'refused' }, message: 'failed' },
      { level: 'error', name: 'talks', message: 'over' },
    ])
    expect(JSON.stringify(lines()[1])).toContain('containedLog.test.ts')
  })

  it('arrives at one that makes no children, as console', () => {
    const lines: unknown[][] = []
    const write =
      (level: string) =>
      (...line: unknown[]) =>
        void lines.push([level, ...line])
    writeAll({ info: write('info'), warn: write('warn'), error: write('error') })
    expect(lines).toEqual([
      ['info', 'said', { runId: 'r1', name: 'talks', n: 1 }],
      ['error', 'failed', { runId: 'r1', name: 'talks', err: new Error('refused') }],
      ['error', 'over', { runId: 'r1', name: 'talks' }],
    ])
    void (console satisfies HostLogger)
  })

  it('goes to standard error where there is no logger, if somebody should see it', () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const info = vi.spyOn(console, 'info').mockImplementation(() => undefined)
    try {
      writeAll(undefined)
      expect(error.mock.calls.map(([message]) => message as string)).toEqual(['failed', 'over'])
      expect(info).not.toHaveBeenCalled()
    } finally {
      error.mockRestore()
      info.mockRestore()
    }
  })

  it('is lost where the logger throws, rejects, or is no logger at all', async () => {
    const rejected = () => Promise.reject(new Error('away'))
    const thrown = () => {
      throw new Error('away')
    }
    const hosts: unknown[] = [
      { info: rejected, warn: rejected, error: rejected },
      { info: thrown, warn: thrown, error: thrown, child: thrown },
      Object.defineProperty({}, 'info', { get: thrown }),
      new Proxy({}, { get: thrown }),
      {},
    ]
    for (const host of hosts) expect(() => writeAll(host as HostLogger)).not.toThrow()
    // Node reports an unhandled rejection after the turn.
    await new Promise(setImmediate)
  })
})

test('lines are left out where the logger says that it writes none, and only there', () => {
  const on = (host: HostLogger | undefined) => {
    const log = containedLog(host)
    return (['info', 'error'] as const).filter((level) => isLevelOn(log, level))
  }
  expect(on(pino({ level: 'info' }))).toEqual(['info', 'error'])
  expect(on(pino({ level: 'warn' }))).toEqual(['error'])
  expect(on(pino({ level: 'silent' }))).toEqual([])
  // A transport of winston may write more than its logger says.
  expect(on(createLogger({ level: 'error' }))).toEqual(['info', 'error'])
  expect(on(console)).toEqual(['info', 'error'])
})
