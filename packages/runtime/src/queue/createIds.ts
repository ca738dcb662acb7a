import { randomBytes } from 'node:crypto'
import { v7 } from 'uuid'

const LENGTH = 16

/** UUIDs of version 7 that sort as they are listed, with one draw from the source of randomness for all. */
export function createIds(count: number): string[] {
  const random = randomBytes(LENGTH * count)
  const msecs = Date.now()
  // 32 bits, of which the first half of the values leave room for counting on.
  const first = count === 0 ? 0 : random.readUInt32BE(0) >>> 1
  return Array.from({ length: count }, (_, index) =>
    v7({
      random: random.subarray(index * LENGTH, (index + 1) * LENGTH),
      msecs,
      seq: first + index,
    }),
  )
}
