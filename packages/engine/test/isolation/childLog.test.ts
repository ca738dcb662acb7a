import { describe, expect, it } from 'vitest'
import type { Logger } from '../../src/index.ts'
import { createChildLog } from '../../src/isolation/childLog.ts'

function linesOf(write: (log: Logger) => void): Record<string, unknown>[] {
  const lines: string[] = []
  write(createChildLog('info', (_token, line) => void lines.push(line))('run'))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('what an isolated run logs', () => {
  it('goes to the worker with its fields and its error', () => {
    const lines = linesOf((log) => {
      log.child({ part: 'a' }).warn({ n: 1 }, 'got %d of %s', 2, 'them')
      log.info(new Error('no luck'))
      log.debug('quiet')
    })
    expect(lines).toEqual([
      { level: 40, part: 'a', n: 1, msg: 'got 2 of them' },
      { level: 30, err: expect.objectContaining({ message: 'no luck' }), msg: 'no luck' },
    ])
  })

  it('holds values as JSON, in which a text of the payload can be found', () => {
    const lines = linesOf((log) => log.info({}, 'got %o', { key: 'BEGIN\nMIIEvQIBADAN\nEND' }))
    expect(lines).toEqual([{ level: 30, msg: 'got {"key":"BEGIN\\nMIIEvQIBADAN\\nEND"}' }])
  })

  it('fails no run, whatever it is', () => {
    const broken = {
      get part(): never {
        throw new Error('no such part')
      },
    }
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    const lines = linesOf((log) => {
      log.info({}, 'got %j', 1n)
      for (const value of [broken, revoked.proxy]) {
        log.info(value)
        log.info({}, 'got %o', value)
        log.child(value).info('child')
      }
    })
    expect(lines).toHaveLength(7)
  })
})
