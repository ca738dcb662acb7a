import { closeSync, openSync, readSync } from 'node:fs'

/** Whether a font has a glyph for a code point. */
export type Coverage = (codePoint: number) => boolean

const MAX_CODE_POINT = 0x10ffff

/**
 * Reads which characters a TrueType or OpenType font has, from its `cmap` table (OpenType specification, "cmap"): what
 * it lacks has to be replaced before Typst sets the page.
 */
export function readCoverage(path: string): Coverage {
  const cmap = readTable(path, 'cmap')
  const covered = new Uint8Array((MAX_CODE_POINT >> 3) + 1)
  for (let index = 0; index < cmap.readUInt16BE(2); index += 1) {
    const subtable = cmap.subarray(cmap.readUInt32BE(4 + index * 8 + 4))
    const format = subtable.readUInt16BE(0)
    if (format === 4) addSegments(subtable, covered)
    if (format === 12) addGroups(subtable, covered)
  }
  return (codePoint) => ((covered[codePoint >> 3] ?? 0) & (1 << (codePoint & 7))) !== 0
}

/** Reads one table by the font's directory. */
function readTable(path: string, tag: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const count = read(file, 4, 2).readUInt16BE(0)
    const directory = read(file, 12, count * 16)
    for (let at = 0; at < directory.length; at += 16) {
      if (directory.toString('latin1', at, at + 4) !== tag) continue
      return read(file, directory.readUInt32BE(at + 8), directory.readUInt32BE(at + 12))
    }
    throw new Error(`${path} has no ${tag} table`)
  } finally {
    closeSync(file)
  }
}

function read(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length)
  if (readSync(file, buffer, 0, length, position) < length)
    throw new Error('The font ends too early')
  return buffer
}

/** Format 4: the basic plane, in segments whose glyph numbers are counted on from the first, or looked up. */
function addSegments(table: Buffer, covered: Uint8Array): void {
  const size = table.readUInt16BE(6)
  const ends = 14
  const starts = ends + size + 2
  const deltas = starts + size
  const offsets = deltas + size
  for (let at = 0; at < size; at += 2) {
    const start = table.readUInt16BE(starts + at)
    const end = table.readUInt16BE(ends + at)
    const delta = table.readUInt16BE(deltas + at)
    const offset = table.readUInt16BE(offsets + at)
    for (let codePoint = start; codePoint <= end && codePoint < 0xffff; codePoint += 1) {
      const glyph =
        offset === 0
          ? codePoint + delta
          : lookUp(table, offsets + at + offset + (codePoint - start) * 2, delta)
      if ((glyph & 0xffff) !== 0) add(covered, codePoint)
    }
  }
}

function lookUp(table: Buffer, position: number, delta: number): number {
  const glyph = table.readUInt16BE(position)
  return glyph === 0 ? 0 : glyph + delta
}

/** Format 12: all planes, in groups of neighbours. */
function addGroups(table: Buffer, covered: Uint8Array): void {
  const count = table.readUInt32BE(12)
  for (let group = 0; group < count; group += 1) {
    const at = 16 + group * 12
    const start = table.readUInt32BE(at)
    const end = Math.min(table.readUInt32BE(at + 4), MAX_CODE_POINT)
    const firstGlyph = table.readUInt32BE(at + 8)
    for (let codePoint = start; codePoint <= end; codePoint += 1) {
      if (firstGlyph + codePoint - start !== 0) add(covered, codePoint)
    }
  }
}

function add(covered: Uint8Array, codePoint: number): void {
  const at = codePoint >> 3
  covered[at] = (covered[at] ?? 0) | (1 << (codePoint & 7))
}
