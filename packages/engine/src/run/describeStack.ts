import { cutBetweenCharacters } from '../job/storableText.ts'

const MAX_FRAMES = 10
const MAX_FRAME_LENGTH = 300
/** As much of a stack as is looked at, behind its message. */
const MAX_READ = 16_384
/** So many of the frames of others are worth something where there are none of the product's own. */
const MAX_FOREIGN_FRAMES = 3

/** Where the engine's own code lies. */
const ENGINE = new URL('../', import.meta.url).pathname

/**
 * The frames of a stack that are the product's own: neither Node's, nor those of packages, nor the engine's. Paths are
 * relative to the working directory, or their last parts: where on the machine all this lies is nobody's business.
 * Where there are no frames of the product's own, it is the first few of the others; none if `onlyOwn`.
 */
export function describeStack(
  stack: string,
  message: string,
  { onlyOwn }: { onlyOwn: boolean },
): string {
  const header = message === '' ? -1 : stack.indexOf(message)
  const from = header < 0 ? 0 : header + message.length
  const frames = stack
    .slice(from, from + MAX_READ)
    .split('\n')
    .filter((line) => /^\s{1,8}at /.test(line))
  const own = frames.filter((frame) => !isForeign(frame))
  const shown =
    own.length > 0 ? own.slice(0, MAX_FRAMES) : onlyOwn ? [] : frames.slice(0, MAX_FOREIGN_FRAMES)
  return shown.map(describeFrame).join('\n')
}

function isForeign(frame: string): boolean {
  return (
    /\bnode:|[\\/]node_modules[\\/]|\((?:<anonymous>|native)\)|at <anonymous>/.test(frame) ||
    frame.includes(ENGINE)
  )
}

function describeFrame(frame: string): string {
  const short = frame.trim().replaceAll(PATH, (_, path: string) => describePath(path))
  return cutBetweenCharacters(short, MAX_FRAME_LENGTH)
}

const PATH = /(?:file:\/\/)?((?:[A-Za-z]:)?[\\/][^():]*)/g

function describePath(path: string): string {
  const parts = path.split(/[\\/]/)
  const root = workingDirectory().split(/[\\/]/)
  const isBelow = root.every((part, at) => parts[at] === part)
  if (isBelow) return parts.slice(root.length).join('/')
  return `…/${parts.slice(-3).filter(Boolean).join('/')}`
}

function workingDirectory(): string {
  try {
    return process.cwd()
  } catch {
    // It has been removed under the process.
    return ''
  }
}
