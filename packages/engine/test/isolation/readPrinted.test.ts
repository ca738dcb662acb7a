import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import { expect, it } from 'vitest'
import { readPrinted } from '../../src/isolation/readPrinted.ts'

async function read(chunks: readonly (string | Buffer)[]) {
  const stream = new PassThrough()
  const lines: string[] = []
  const printed = readPrinted(stream, (line) => lines.push(line))
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  await finished(stream)
  return { lines, tail: printed.tail() }
}

it('hands on whole lines, however they arrive', async () => {
  const [first, second] = [Buffer.from('größer').subarray(0, 3), Buffer.from('größer').subarray(3)]
  const { lines, tail } = await read(['one\ntw', 'o\n\n', first, second])

  expect(lines).toEqual(['one', 'two', 'größer'])
  expect(tail).toBe('one\ntwo\n\ngrößer')
})

it('cuts a line that does not end, and keeps the end of all', async () => {
  const { lines, tail } = await read(['x'.repeat(1_000_000), 'last'])

  expect(lines).toEqual(['x'.repeat(8_000)])
  expect(tail).toBe(`${'x'.repeat(7_996)}last`)
})

it('leaves out what is too much, and says how much', async () => {
  const { lines, tail } = await read(Array.from({ length: 100 }, () => 'again\n'.repeat(1_000)))

  expect(lines.length).toBeLessThan(2_000)
  expect(lines.at(-1)).toMatch(/^… \d+ characters were left out$/)
  expect(tail).toHaveLength(8_000)
})
