// Not quick: starts processes.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import {
  createInvoiceRenderer,
  type InvoiceRenderer,
  type InvoiceRendererOptions,
} from '../../src/invoicePdf/createInvoiceRenderer.ts'
import type { RenderAnswer } from '../../src/invoicePdf/renderProcess.ts'
import { textOf } from './readPdf.ts'
import { enGb, invoiceOf, jaJp } from './sampleInvoices.ts'

const MORTAL = join(import.meta.dirname, 'fixtures/mortalProcess.ts')
const SOURCE = join(import.meta.dirname, '../../src/invoicePdf')

const never = new AbortController().signal
const renderers: InvoiceRenderer[] = []
/** For tests that neither break nor count its processes. */
const shared = createInvoiceRenderer()
afterAll(() => shared.close())

const large = invoiceOf(
  Array.from({ length: 3_000 }, (_, index) => [
    `Article ${index + 1}, in blue`,
    2,
    100 + index,
    20,
  ]),
  enGb,
)

afterEach(async () => {
  await Promise.all(renderers.splice(0).map((renderer) => renderer.close()))
})

function open(options?: InvoiceRendererOptions): InvoiceRenderer {
  const renderer = createInvoiceRenderer(options)
  renderers.push(renderer)
  return renderer
}

test('an invoice is rendered, and the next by the same process', async () => {
  const first = await shared.render(enGb, never)
  expect(Buffer.from(first.pdf.subarray(0, 5)).toString()).toBe('%PDF-')
  expect(first.pages).toBe(1)
  expect(await textOf(first.pdf)).toContain('Invoice 2026-000042')
  const second = await shared.render(jaJp, never)
  expect(await textOf(second.pdf)).toContain('株式会社サンプル商事')
  const again = await shared.render(enGb, never)
  expect(Buffer.from(again.pdf).equals(first.pdf)).toBe(true)
})

test('more invoices than processes are rendered one after the other', async () => {
  const renderer = open({ processes: 2 })
  const numbers = Array.from({ length: 12 }, (_, index) => `2026-${index}`)
  const rendered = await Promise.all(
    numbers.map((number) => renderer.render({ ...enGb, number }, never)),
  )
  const texts = await Promise.all(rendered.map(({ pdf }) => textOf(pdf)))
  expect(numbers.filter((number, index) => !texts[index]?.includes(`Invoice ${number}`))).toEqual(
    [],
  )
})

test('the host keeps turning while an invoice of 3,000 lines is rendered', async () => {
  await shared.render(enGb, never)
  let turns = 0
  const timer = setInterval(() => (turns += 1), 1)
  const { pages, pdf } = await shared.render(large, never)
  clearInterval(timer)
  expect(turns).toBeGreaterThan(50)
  expect(pages).toBeGreaterThan(60)
  const text = await textOf(pdf)
  expect(text).toContain('3000 Article 3000, in blue')
  expect(text).toContain(`Page ${pages} of ${pages}`)
})

test('3,000 lines take less than a gigabyte', async () => {
  const child = fork(join(SOURCE, 'renderProcess.ts'), {
    execArgv: [],
    serialization: 'advanced',
  })
  child.send(large)
  const [answer] = (await once(child, 'message')) as [RenderAnswer]
  child.disconnect()
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(answer).not.toHaveProperty('error')
  expect(answer.memoryBytes).toBeLessThan(1_000_000_000)
})

test('a process that occupies too much is replaced', async () => {
  const document = { ...enGb, number: 'die if second' }
  const kept = open({ entry: MORTAL })
  await kept.render(document, never)
  await expect(kept.render(document, never)).rejects.toThrow('died')
  const replaced = open({ entry: MORTAL, maxMemoryBytes: 1 })
  await replaced.render(document, never)
  expect(await replaced.render(document, never)).toMatchObject({ pages: 1 })
})

test('a process that dies fails the invoice it had, and no other', async () => {
  const renderer = open({ entry: MORTAL, processes: 2 })
  const numbers = ['1', 'die', '2', 'die', '3', '4']
  const results = await Promise.allSettled(
    numbers.map((number) => renderer.render({ ...enGb, number }, never)),
  )
  expect(results.map(({ status }) => status)).toEqual(
    numbers.map((number) => (number === 'die' ? 'rejected' : 'fulfilled')),
  )
  expect(results[1]).toMatchObject({
    reason: { name: 'JobError', code: 'invoice_renderer_lost', retryable: true },
  })
})

test('a program that is none fails the invoice', async () => {
  const renderer = open({ entry: join(SOURCE, 'missing.ts') })
  await expect(renderer.render(enGb, never)).rejects.toMatchObject({
    code: 'invoice_renderer_lost',
  })
})

test('an abort ends what runs, even if it would never end', async () => {
  const renderer = open({ entry: MORTAL })
  await renderer.render(enGb, never)
  const controller = new AbortController()
  const hanging = renderer.render({ ...enGb, number: 'hang' }, controller.signal)
  const waiting = renderer.render({ ...enGb, number: '2' }, never)
  controller.abort(new Error('The run was cancelled'))
  await expect(hanging).rejects.toMatchObject({
    name: 'AbortError',
    cause: { message: 'The run was cancelled' },
  })
  // The only process is free for it.
  expect(await waiting).toMatchObject({ pages: 1 })
})

test('an abort takes back what waits', async () => {
  const renderer = open({ entry: MORTAL })
  const controller = new AbortController()
  const running = renderer.render(enGb, never)
  const waiting = renderer.render({ ...enGb, number: 'hang' }, controller.signal)
  controller.abort()
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  expect(await running).toMatchObject({ pages: 1 })
  expect(await renderer.render(enGb, never)).toMatchObject({ pages: 1 })
})

test('nothing is begun for a signal that was aborted before', async () => {
  const renderer = open({ entry: MORTAL })
  await expect(
    renderer.render({ ...enGb, number: 'hang' }, AbortSignal.abort()),
  ).rejects.toMatchObject({ name: 'AbortError' })
  expect(await renderer.render(enGb, never)).toMatchObject({ pages: 1 })
})

test('an abort after the end changes nothing', async () => {
  const controller = new AbortController()
  await shared.render(enGb, controller.signal)
  controller.abort()
  expect(await shared.render(enGb, never)).toMatchObject({ pages: 1 })
})

test.each([
  ['locale', { locale: 'not a locale' }],
  ['currency', { currency: 'euros' }],
  ['date', { dueOn: '2026-02-30' }],
  ['amount', { grossMinor: 0.5 }],
])('an invoice whose %s is none is refused for good, without a word of it', async (_, wrong) => {
  await expect(shared.render({ ...enGb, ...wrong }, never)).rejects.toMatchObject({
    code: 'invoice_invalid',
    retryable: false,
    message: 'The invoice has an invalid value',
  })
  expect(await shared.render(enGb, never)).toMatchObject({ pages: 1 })
})

test('closing ends what runs, refuses what waits, and what comes', async () => {
  const renderer = open({ entry: MORTAL })
  const running = renderer.render({ ...enGb, number: 'hang' }, never)
  const waiting = renderer.render(enGb, never)
  const settled = Promise.allSettled([running, waiting])
  await renderer.close()
  expect(await settled).toMatchObject([
    { status: 'rejected', reason: { name: 'AbortError' } },
    { status: 'rejected', reason: { name: 'AbortError' } },
  ])
  await expect(renderer.render(enGb, never)).rejects.toMatchObject({ name: 'AbortError' })
  await renderer.close()
})

test('a host that is gone leaves no process behind', async () => {
  const child = fork(join(SOURCE, 'renderProcess.ts'), {
    execArgv: [],
    serialization: 'advanced',
  })
  child.send(enGb)
  await once(child, 'message')
  // A Ctrl-C in its terminal does not end it.
  child.kill('SIGINT')
  child.send(enGb)
  await once(child, 'message')
  // The parent goes while the process renders for it.
  child.send(enGb, () => child.disconnect())
  expect(await once(child, 'exit')).toEqual([0, null])
})
