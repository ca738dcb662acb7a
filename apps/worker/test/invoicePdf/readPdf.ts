import { inflateSync } from 'node:zlib'
import { PDFiumLibrary } from '@hyzyla/pdfium'

export interface ReadPage {
  /** The text as Chrome's reader copies it. */
  text: string
  width: number
  height: number
  /** A byte for each pixel; 255 is white. */
  grey: Uint8Array
}

const DPI = 100
const POINTS_PER_INCH = 72

/** Reads and draws each page by PDFium: WebAssembly, so that pixels are the same on every machine. */
export async function readPdf(pdf: Uint8Array): Promise<ReadPage[]> {
  const library = await PDFiumLibrary.init()
  try {
    const document = await library.loadDocument(pdf)
    const pages: ReadPage[] = []
    for (const page of document.pages()) {
      // Read before it is drawn, because drawing closes the page.
      const text = page.getText()
      const { width, height, data } = await page.render({
        scale: DPI / POINTS_PER_INCH,
        render: 'bitmap',
        colorSpace: 'Gray',
      })
      pages.push({ text, width, height, grey: data.slice(0, width * height) })
    }
    document.destroy()
    return pages
  } finally {
    library.destroy()
  }
}

/** The text of all pages, with plain spaces instead of those that hold a figure together. */
export async function textOf(pdf: Uint8Array): Promise<string> {
  const pages = await readPdf(pdf)
  return pages
    .map((page) => page.text)
    .join('\n')
    .replaceAll('\u{a0}', ' ')
}

/** The file's objects as text, and its streams unpacked. */
export function unpackPdf(pdf: Uint8Array): { objects: string; streams: string[] } {
  const file = Buffer.from(pdf)
  const objects = file.toString('latin1')
  const streams: string[] = []
  for (const match of objects.matchAll(/>>\s*stream\r?\n/g)) {
    const start = match.index + match[0].length
    const content = file.subarray(start, objects.indexOf('endstream', start))
    streams.push((isPacked(content) ? inflateSync(content) : content).toString('latin1'))
  }
  return { objects, streams }
}

/** The numbers of the glyphs that all pages show. */
export function glyphsOf(pdf: Uint8Array): number[] {
  return unpackPdf(pdf)
    .streams.filter((stream) => / Tf\b/.test(stream))
    .flatMap((content) => Array.from(content.matchAll(/\(((?:\\[^]|[^\\)])*)\)/g)))
    .flatMap((match) => {
      const bytes = Buffer.from(unescape(match[1] ?? ''), 'latin1')
      return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2))
    })
}

function isPacked(content: Buffer): boolean {
  return content[0] === 0x78
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

function unescape(text: string): string {
  return text.replaceAll(/\\(?:([0-7]{1,3})|([^]))/g, (_, octal?: string, letter?: string) =>
    octal === undefined
      ? (ESCAPES[letter ?? ''] ?? letter ?? '')
      : String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
