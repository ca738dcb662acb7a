import { gzipSync } from 'node:zlib'

const BLOCK = 512
/** npm's own constant: the same files make the same tarball. */
const MODIFIED_S = 499_162_500

/** Packs files as a registry takes them: below `package/`, in a gzipped tar (POSIX ustar). */
export function createTarball(files: ReadonlyMap<string, Buffer>): Buffer {
  const parts = [...files].flatMap(([path, content]) => [
    header(`package/${path}`, content),
    content,
    Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK),
  ])
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]), { level: 9 })
}

/** The header block of a file. The checksum is counted over the block with blanks in the checksum's place. */
function header(path: string, content: Buffer): Buffer {
  const block = Buffer.alloc(BLOCK)
  const { prefix, name } = split(path)
  // A file that begins so is a program for the command line.
  const mode = content.subarray(0, 2).toString() === '#!' ? 0o755 : 0o644
  block.write(name, 0)
  block.write(octal(mode, 8), 100)
  block.write(octal(0, 8), 108)
  block.write(octal(0, 8), 116)
  block.write(octal(content.length, 12), 124)
  block.write(octal(MODIFIED_S, 12), 136)
  block.fill(' ', 148, 156)
  block.write('0', 156)
  block.write('ustar\0', 257)
  block.write('00', 263)
  block.write(prefix, 345)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** Splits a path for the header: its name holds 100 bytes, its prefix 155 more, and they part at a slash. */
function split(path: string): { prefix: string; name: string } {
  if (path.length <= 100) return { prefix: '', name: path }
  const at = path.indexOf('/', path.length - 101)
  if (at < 0 || at > 155) throw new Error(`The path of ${path} is too long for a tarball`)
  return { prefix: path.slice(0, at), name: path.slice(at + 1) }
}

function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, '0')}\0`
}
