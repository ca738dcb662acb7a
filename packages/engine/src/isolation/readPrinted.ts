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
  let linesInWindow = 0
  let leftOutInWindow = 0

  function handOver(line: string): void {
    if (line.trim() === '') return
    linesInWindow++
    onLine(line)
  }

  /** Begins a new second when the last is over, and reports what was left out in that. */
  function beginWindowWhenDue(): void {
    const now = performance.now()
    if (now < windowEndsAt) return
    windowEndsAt = now + WINDOW_MS
    linesInWindow = 0
    if (leftOutInWindow > 0) handOver(leftOutLine(leftOutInWindow))
    leftOutInWindow = 0
  }

  /** Whether this second has had its lines. */
  function isWindowFull(): boolean {
    beginWindowWhenDue()
    return linesInWindow >= MAX_LINES_A_WINDOW
  }

  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    tail = (tail + text.slice(-TAIL_LENGTH)).slice(-TAIL_LENGTH)
    let at = 0
    while (at < text.length) {
      if (isWindowFull()) {
        leftOutInWindow += partial.length + text.length - at
        partial = ''
        return
      }
      const end = text.indexOf('\n', at)
      const piece = text.slice(at, end < 0 ? undefined : end)
      partial += piece.slice(0, MAX_LINE_LENGTH - partial.length)
      if (end < 0) return
      handOver(partial)
      partial = ''
      at = end + 1
    }
  })
  stream.on('end', () => {
    if (isWindowFull()) onLine(leftOutLine(leftOutInWindow + partial.length))
    else handOver(partial)
  })
  stream.on('error', () => undefined)
  return { tail: () => tail }
}

function leftOutLine(characters: number): string {
  return `… ${characters} characters were left out`
}
