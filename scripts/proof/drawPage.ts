import { PDFiumLibrary } from '@hyzyla/pdfium'
import { encode } from 'fast-png'

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
