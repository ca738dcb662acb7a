import type { Readable, Writable } from 'node:stream'

const LINE_BREAK = 0x0a

export function sendLine(channel: Writable, message: unknown): void {
  channel.write(`${JSON.stringify(message)}\n`)
}

/** Calls back for each message. At the first that is invalid or too large it calls `onGarbage` once, and ignores the rest. */
export function readLines(
  channel: Readable,
  options: {
    maxBytes: number
    onMessage: (message: unknown) => void
    onGarbage: (what: string) => void
  },
): void {
  let pieces: Buffer[] = []
  let size = 0
  channel.on('data', function read(chunk: Buffer) {
    for (let from = 0; from < chunk.length;) {
      const end = chunk.indexOf(LINE_BREAK, from)
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end)
      pieces.push(piece)
      size += piece.length
      if (size > options.maxBytes) return giveUp(`a message of more than ${options.maxBytes} bytes`)
      if (end < 0) return
      const line = Buffer.concat(pieces).toString()
      from = end + 1
      pieces = []
      size = 0
      let message: unknown
      try {
        message = JSON.parse(line)
      } catch {
        return giveUp('an invalid message')
      }
      options.onMessage(message)
    }

    function giveUp(what: string): void {
      channel.off('data', read).resume()
      pieces = []
      options.onGarbage(what)
    }
  })
}
