import { PDFiumLibrary } from '@hyzyla/pdfium'
import { decode, encode } from 'fast-png'

const SCALE = 110 / 72

/** A page of a PDF as a PNG, in grey. */
export async function drawPage(pdf: Uint8Array, page: number): Promise<Uint8Array> {
  const library = await PDFiumLibrary.init()
  try {
    const document = await library.loadDocument(pdf)
    const { width, height, data } = await document.getPage(page).render({
      scale: SCALE,
      render: 'bitmap',
      colorSpace: 'Gray',
    })
    document.destroy()
    return encode({ width, height, data: data.slice(0, width * height), channels: 1 })
  } finally {
    library.destroy()
  }
}

/** What an index of one byte can name. */
const MAX_COLOURS = 256

/** The same picture in its most frequent colours, the others as the nearest of these: a half to a third of the bytes. */
export function shrinkPicture(png: Uint8Array): Uint8Array {
  const { width, height, data, channels } = decode(png)
  const pixels = width * height
  const colourAt = (pixel: number) => {
    const at = pixel * channels
    return ((data[at] ?? 0) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0)
  }
  const counts = new Map<number, number>()
  for (let pixel = 0; pixel < pixels; pixel++) {
    const colour = colourAt(pixel)
    counts.set(colour, (counts.get(colour) ?? 0) + 1)
  }
  const frequent = [...counts].toSorted(([, one], [, other]) => other - one).slice(0, MAX_COLOURS)
  const palette = frequent.map(([colour]) => toRgb(colour))
  const indexOf = new Map(frequent.map(([colour], index) => [colour, index]))
  const indexed = new Uint8Array(pixels)
  for (let pixel = 0; pixel < pixels; pixel++) {
    const colour = colourAt(pixel)
    const known = indexOf.get(colour) ?? nearest(palette, toRgb(colour))
    indexOf.set(colour, known)
    indexed[pixel] = known
  }
  return encode({ width, height, data: indexed, channels: 1, palette }, { zlib: { level: 9 } })
}

type Rgb = [red: number, green: number, blue: number]

const toRgb = (colour: number): Rgb => [colour >> 16, (colour >> 8) & 255, colour & 255]

function nearest(palette: readonly Rgb[], [red, green, blue]: Rgb): number {
  let best = 0
  let least = Infinity
  for (const [index, [r, g, b]] of palette.entries()) {
    const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2
    if (distance >= least) continue
    least = distance
    best = index
  }
  return best
}
