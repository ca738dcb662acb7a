// Compares how invoices look, page by page, with the pictures in golden/. After an intended change look at every page,
// and write them anew: UPDATE_GOLDENS=1 pnpm test apps/worker/test/invoicePdf/golden.test.ts
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode, encode } from 'fast-png'
import { expect, test } from 'vitest'
import { createInvoiceCompiler } from '../../src/invoicePdf/createInvoiceCompiler.ts'
import { readPdf, type ReadPage } from './readPdf.ts'
import { sampleInvoices } from './sampleInvoices.ts'

const GOLDEN = join(import.meta.dirname, 'golden')
const isUpdate = process.env['UPDATE_GOLDENS'] === '1'

/** How much grey may differ: nobody sees less. */
const VISIBLE = 40
/** How many pixels may differ: fewer than one digit has. */
const MAX_PIXELS = 12

const compile = createInvoiceCompiler()

test.each(Object.entries(sampleInvoices))('%s looks as it did', async (name, document) => {
  const pages = await readPdf(compile(document).pdf)
  const differences = await Promise.all(
    pages.map((page, index) => compare(page, `${name}-${index + 1}.png`)),
  )
  expect(differences.filter((difference) => difference !== undefined)).toEqual([])
})

async function compare(page: ReadPage, file: string): Promise<string | undefined> {
  const path = join(GOLDEN, file)
  const picture = encode({ width: page.width, height: page.height, data: page.grey, channels: 1 })
  if (isUpdate) {
    await writeFile(path, picture)
    return undefined
  }
  const golden = decode(await readFile(path))
  const pixels =
    golden.width === page.width && golden.height === page.height
      ? page.grey.filter((grey, at) => Math.abs(grey - Number(golden.data[at])) > VISIBLE).length
      : page.grey.length
  if (pixels <= MAX_PIXELS) return undefined
  const actual = join(await mkdtemp(join(tmpdir(), 'invoice-')), file)
  await writeFile(actual, picture)
  return `${pixels} pixels differ from golden/${file}: ${actual}`
}
