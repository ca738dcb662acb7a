import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFrames, sendFrame } from '../../../src/run/isolated/frames.ts'

function receive(chunks: readonly Buffer[], maxBytes = 1_000_000) {
  const channel = new PassThrough()
  const messages: unknown[] = []
  const garbage: string[] = []
  readFrames(channel, {
    maxBytes,
    onMessage: (message) => messages.push(message),
    onGarbage: (what) => garbage.push(what),
  })
  for (const chunk of chunks) channel.emit('data', chunk)
  return { messages, garbage }
}

function frames(messages: readonly unknown[]): Buffer {
  const channel = new PassThrough()
  for (const message of messages) sendFrame(channel, message)
  return (channel.read() as Buffer | null) ?? Buffer.alloc(0)
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length]
  at.sort((a, b) => a - b)
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

describe('frames', () => {
  it('arrive as they were sent, however they are cut on their way', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue({ maxDepth: 3 })), fc.array(fc.nat()), (sent, places) => {
        const { messages, garbage } = receive(cut(frames(sent), places))
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
          const head = Buffer.from([0xff])
          const bytes = Buffer.concat([frames(sent), head, noise, frames(sent)])
          const { messages, garbage } = receive(cut(bytes, places))
          expect(messages).toEqual(JSON.parse(JSON.stringify(sent)))
          expect(garbage).toHaveLength(1)
        },
      ),
    )
  })

  it('are refused by their length, before they are kept', () => {
    expect(receive([frames(['x'.repeat(99)]).subarray(0, 4)], 100).garbage).toEqual([
      'a message of 101 bytes',
    ])
    expect(receive([frames(['x'.repeat(98)])], 100).messages).toEqual(['x'.repeat(98)])
  })

  it('that hold no JSON are told', () => {
    expect(receive([Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])]).garbage).toEqual(['an invalid message'])
  })
})
