import { describe, expect, it } from 'vitest'
import { Abort } from '../../src/run/abort.ts'

const open = () => new Abort('a', 'run', 1_000)
const never = () => expect.unreachable()

describe('Abort', () => {
  it('aborts its signal, also one that is read later', () => {
    const abort = open()
    const early = abort.signal
    expect(early.aborted).toBe(false)
    expect(abort.signal).toBe(early)

    abort.abort('first')
    abort.abort('second')
    expect(early.aborted).toBe(true)
    expect(early.reason).toBe('first')
    expect([abort.isAborted, abort.reason]).toEqual([true, 'first'])

    const late = open()
    late.abort('first')
    expect(late.signal.aborted).toBe(true)
    expect(late.signal.reason).toBe('first')
  })

  it('calls its listener once, also one that comes too late, and none that has left', () => {
    const calls: string[] = []
    const abort = open()
    abort.onAbort(() => calls.push('a'), never)
    abort.abort('x')
    abort.abort('y')
    expect(calls).toEqual(['a'])
    abort.onAbort(() => calls.push('b'), never)
    abort.leave()
    expect(calls).toEqual(['a', 'b'])

    const other = open()
    other.onAbort(() => calls.push('c'), never)
    other.leave()
    other.abort('x')
    expect(calls).toEqual(['a', 'b'])
  })
})
