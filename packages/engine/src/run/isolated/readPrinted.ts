import type { Readable } from 'node:stream'

const MAX_LINE_LENGTH = 8_000
const TAIL_LENGTH = 8_000
const WINDOW_MS = 1_000
const MAX_LINES_A_WINDOW = 200

/** Calls back for each line that a process prints, up to 200 a second, and keeps the end of all it printed. */
export function readPrinted(stream: Readable, onLine: (line: string) => void): { tail(): string } {
  let tail = ''
  let partial = ''
  let windowEndsAt = 0
  let lines = 0
  let leftOut = 0

  function hand(line: string): void {
    if (line.trim() === '') return
    lines++
    onLine(line)
  }

  function isOver(): boolean {
    const now = performance.now()
    if (now >= windowEndsAt) {
      windowEndsAt = now + WINDOW_MS
      lines = 0
      if (leftOut > 0) hand(`… ${leftOut} characters were left out`)
      leftOut = 0
    }
    return lines >= MAX_LINES_A_WINDOW
  }

  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    tail = (tail + text.slice(-TAIL_LENGTH)).slice(-TAIL_LENGTH)
    let at = 0
    while (at < text.length) {
      if (isOver()) {
        leftOut += partial.length + text.length - at
        partial = ''
        return
      }
      const end = text.indexOf('\n', at)
      const piece = text.slice(at, end < 0 ? undefined : end)
      partial += piece.slice(0, MAX_LINE_LENGTH - partial.length)
      if (end < 0) return
      hand(partial)
      partial = ''
      at = end + 1
    }
  })
  stream.on('end', () => {
    if (!isOver()) hand(partial)
    else onLine(`… ${leftOut + partial.length} characters were left out`)
  })
  stream.on('error', () => undefined)
  return { tail: () => tail }
}
