import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readLines, sendLine } from '../../src/isolation/jsonLines.ts'

function receive(chunks: readonly Buffer[], maxBytes = 1_000_000) {
  const channel = new PassThrough()
  const messages: unknown[] = []
  const garbage: string[] = []
  readLines(channel, {
    maxBytes,
    onMessage: (message) => messages.push(message),
    onGarbage: (what) => garbage.push(what),
  })
  for (const chunk of chunks) channel.emit('data', chunk)
  return { messages, garbage }
}

function lines(messages: readonly unknown[]): Buffer {
  const channel = new PassThrough()
  for (const message of messages) sendLine(channel, message)
  return (channel.read() as Buffer | null) ?? Buffer.alloc(0)
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length]
  at.sort((a, b) => a - b)
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

describe('messages', () => {
  it('arrive as they were sent, however they are cut on their way', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue({ maxDepth: 3 })), fc.array(fc.nat()), (sent, places) => {
        const { messages, garbage } = receive(cut(lines(sent), places))
        expect(messages).toEqual(JSON.parse(JSON.stringify(sent)))
        expect(garbage).toEqual([])
      }),
    )
  })

  it('that are none are told once, and nothing that follows is looked at', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue({ maxDepth: 1 })),
        fc.uint8Array({ minLength: 4 }),
        fc.array(fc.nat()),
        (sent, noise, places) => {
          const none = Buffer.from([0xff, ...noise, 0x0a])
          const bytes = Buffer.concat([lines(sent), none, lines(sent)])
          const { messages, garbage } = receive(cut(bytes, places))
          expect(messages).toEqual(JSON.parse(JSON.stringify(sent)))
          expect(garbage).toEqual(['an invalid message'])
        },
      ),
    )
  })

  it('are refused by their length, before they are kept', () => {
    const long = lines(['x'.repeat(99)])
    expect(receive([long.subarray(0, 60), long.subarray(60, 101)], 100).garbage).toEqual([
      'a message of more than 100 bytes',
    ])
    expect(receive([lines(['x'.repeat(98)])], 100).messages).toEqual(['x'.repeat(98)])
  })
})
