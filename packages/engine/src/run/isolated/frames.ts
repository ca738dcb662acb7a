import type { Readable, Writable } from 'node:stream'

const HEAD_BYTES = 4

/** Sends a message as its length in bytes and its JSON. */
export function sendFrame(channel: Writable, message: unknown): void {
  const body = Buffer.from(JSON.stringify(message))
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32BE(body.length)
  channel.cork()
  channel.write(head)
  channel.write(body)
  channel.uncork()
}

/** Calls back for each message. At the first that is invalid or too large it calls `onGarbage` once, and ignores the rest. */
export function readFrames(
  channel: Readable,
  options: {
    maxBytes: number
    onMessage: (message: unknown) => void
    onGarbage: (what: string) => void
  },
): void {
  let chunks: Buffer[] = []
  let size = 0
  /** The size of the frame that is arriving, with its head. */
  let wanted = HEAD_BYTES
  let isGarbage = false

  function giveUp(what: string): void {
    isGarbage = true
    chunks = []
    options.onGarbage(what)
  }

  function take(): void {
    const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
    let at = 0
    while (!isGarbage && all.length - at >= HEAD_BYTES) {
      const length = all.readUInt32BE(at)
      if (length > options.maxBytes) return giveUp(`a message of ${length} bytes`)
      wanted = HEAD_BYTES + length
      if (all.length - at < wanted) break
      const body = all.toString('utf8', at + HEAD_BYTES, at + wanted)
      at += wanted
      wanted = HEAD_BYTES
      let message: unknown
      try {
        message = JSON.parse(body)
      } catch {
        return giveUp('an invalid message')
      }
      options.onMessage(message)
    }
    chunks = at < all.length ? [all.subarray(at)] : []
    size = all.length - at
  }

  channel.on('data', (chunk: Buffer) => {
    if (isGarbage) return
    chunks.push(chunk)
    size += chunk.length
    // Join the chunks once a whole frame has arrived, not at each chunk of a large one.
    if (size >= wanted) take()
  })
}
