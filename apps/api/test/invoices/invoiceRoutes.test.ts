// Not quick: asks in hundreds of ways.
import {
  expectInvalid,
  expectProblem,
  listQueue,
  openForTests,
  setWork,
  UNKNOWN_ID,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'
import { createInvoice, emptyInvoices, invoiceBody, markRendered } from '../invoices.ts'

const api = openForTests(createTestApi)

beforeEach(async () => {
  await emptyInvoices(api.prisma)
  await api.prisma.$executeRaw`alter sequence "Invoice_number_seq" restart`
})

const post = (payload: object) => api.as('staff', { method: 'POST', url: '/api/invoices', payload })
const put = (id: string, payload: object) =>
  api.as('staff', { method: 'PUT', url: `/api/invoices/${id}`, payload })
const show = (id: string) => api.as('staff', { method: 'GET', url: `/api/invoices/${id}` })
const list = (query = '') => api.as('staff', { method: 'GET', url: `/api/invoices?${query}` })

/** Bodies that are refused, each with the place and a part of the message. */
const line = { description: 'Work', quantity: 1, unitPriceMinor: 100, taxRateBasisPoints: 0 }
const customer = { name: 'Example GmbH', address: [] }
const withLine = (changes: object) => ({ lines: [line, { ...line, ...changes }] })
const withCustomer = (changes: object) => ({ customer: { ...customer, ...changes } })
const LARGEST = Number.MAX_SAFE_INTEGER

const refused: [what: string, changes: object, path: string, message: string][] = [
  ['no customer', { customer: undefined }, 'body.customer', 'expected object'],
  ['a blank name', withCustomer({ name: ' ' }), 'body.customer.name', 'is blank'],
  ['a name with NUL', withCustomer({ name: 'a\0b' }), 'body.customer.name', 'NUL'],
  ['half a character', withCustomer({ name: '\ud83e' }), 'body.customer.name', 'surrogate'],
  ['two lines', withCustomer({ name: 'a\nBcc: b' }), 'body.customer.name', 'a line break'],
  [
    'two e-mails',
    withCustomer({ email: 'a@example.com, b@example.com' }),
    'body.customer.email',
    'email address',
  ],
  [
    'an unknown member',
    withCustomer({ vat: 'x' }),
    'body.customer.vat',
    'is unknown; leave it out',
  ],
  ['a currency that is none', { currency: 'ABC' }, 'body.currency', 'ISO 4217'],
  ['a currency in small letters', { currency: 'eur' }, 'body.currency', 'ISO 4217'],
  ['a locale that is none', { locale: 'german!' }, 'body.locale', 'BCP 47'],
  ['a language that nobody speaks', { locale: 'xx-DE' }, 'body.locale', 'BCP 47'],
  ['an instant', { issuedOn: '2026-11-24T00:00:00Z' }, 'body.issuedOn', 'has to be a date'],
  ['30 February', { issuedOn: '2026-02-30' }, 'body.issuedOn', 'has to be a date'],
  ['the year 3000', { dueOn: '3000-01-01' }, 'body.dueOn', '1900 to 2999'],
  ['due before today', { dueOn: '2026-11-23' }, 'body.dueOn', '(2026-11-24) or a later one'],
  [
    'due before it is issued',
    { issuedOn: '2027-01-02', dueOn: '2027-01-01' },
    'body.dueOn',
    '(2027-01-02) or a later one',
  ],
  ['a number in two lines', { number: 'a\r\nb' }, 'body.number', 'a line break'],
  ['no line', { lines: [] }, 'body.lines', '>=1 items'],
  [
    'too many lines',
    { lines: Array.from({ length: 5_001 }, () => ({})) },
    'body.lines',
    'more than 5000 lines',
  ],
  ...[
    0,
    -1,
    1.0005,
    0.1 + 0.2,
    1_000_000.001,
    1e-7,
    '',
    ' 1',
    '1.',
    '.5',
    '1,5',
    '1e3',
    '-1',
    '0.0001',
    '0.000',
    '007',
    '١',
    '1000001',
    '99999999999999999999',
    null,
    true,
    undefined,
  ].map((quantity): [string, object, string, string] => [
    `the quantity ${JSON.stringify(quantity)}`,
    withLine({ quantity }),
    'body.lines.1.quantity',
    'at most 3 decimals',
  ]),
  ['half a cent', withLine({ unitPriceMinor: 0.5 }), 'body.lines.1.unitPriceMinor', 'expected int'],
  [
    'an amount beyond what is exact',
    withLine({ quantity: 2, unitPriceMinor: LARGEST }),
    'body.lines.1.unitPriceMinor',
    'more than can be counted exactly',
  ],
  [
    'a tax that takes it beyond what is exact',
    withLine({ unitPriceMinor: LARGEST, taxRateBasisPoints: 1 }),
    'body.lines.1.unitPriceMinor',
    'more than can be counted exactly',
  ],
  [
    'a sum beyond what is exact',
    withLine({ unitPriceMinor: LARGEST }),
    'body.lines',
    'add up to more than can be counted exactly',
  ],
  [
    'more tax than 100 %',
    withLine({ taxRateBasisPoints: 10_001 }),
    'body.lines.1.taxRateBasisPoints',
    '<=10000',
  ],
  ['an amount of its own', { grossMinor: 1 }, 'body.grossMinor', 'is unknown; leave it out'],
]

describe('POST /api/invoices', () => {
  it('writes an invoice with its lines and totals, and shows all of it', async () => {
    const response = await post({
      number: 'R/2026 – 7',
      customer: {
        name: 'Beispiel & Söhne 🦉',
        address: ['Musterstraße 1', '12345 Musterstadt'],
        email: 'billing@example.com',
        taxId: 'DE000000000',
      },
      currency: 'EUR',
      locale: 'de-de',
      issuedOn: '2026-02-28',
      dueOn: '2026-02-28',
      notes: 'Thank you.\nSee you again.',
      lines: [
        {
          description: 'Work',
          quantity: '1.50',
          unitPriceMinor: 10_001,
          taxRateBasisPoints: 1_900,
        },
        { description: 'Book', quantity: 3, unitPriceMinor: 999, taxRateBasisPoints: 700 },
        { description: 'Rebate', quantity: 1, unitPriceMinor: -500, taxRateBasisPoints: 1_900 },
        { description: 'Screws', quantity: 0.005, unitPriceMinor: 100, taxRateBasisPoints: 0 },
      ],
    })
    expect(response.statusCode).toBe(201)
    const invoice = response.json()
    expect(invoice).toEqual({
      id: invoice.id,
      number: 'R/2026 – 7',
      version: 1,
      customer: {
        name: 'Beispiel & Söhne 🦉',
        address: ['Musterstraße 1', '12345 Musterstadt'],
        email: 'billing@example.com',
        taxId: 'DE000000000',
      },
      currency: 'EUR',
      currencyDigits: 2,
      locale: 'de-DE',
      issuedOn: '2026-02-28',
      dueOn: '2026-02-28',
      notes: 'Thank you.\nSee you again.',
      lines: [
        {
          description: 'Work',
          quantity: '1.5',
          unitPriceMinor: 10_001,
          taxRateBasisPoints: 1_900,
          netMinor: 15_002,
        },
        {
          description: 'Book',
          quantity: '3',
          unitPriceMinor: 999,
          taxRateBasisPoints: 700,
          netMinor: 2_997,
        },
        {
          description: 'Rebate',
          quantity: '1',
          unitPriceMinor: -500,
          taxRateBasisPoints: 1_900,
          netMinor: -500,
        },
        {
          description: 'Screws',
          quantity: '0.005',
          unitPriceMinor: 100,
          taxRateBasisPoints: 0,
          netMinor: 1,
        },
      ],
      taxes: [
        { rateBasisPoints: 0, netMinor: 1, taxMinor: 0 },
        { rateBasisPoints: 700, netMinor: 2_997, taxMinor: 210 },
        { rateBasisPoints: 1_900, netMinor: 14_502, taxMinor: 2_755 },
      ],
      netMinor: 17_500,
      taxMinor: 2_965,
      grossMinor: 20_465,
      pdf: 'none',
      createdAt: '2026-11-24T09:00:00.000Z',
      updatedAt: expect.any(String),
    })
    expect(response.headers['location']).toBe(`/api/invoices/${invoice.id}`)
    expect(response.headers['cache-control']).toBe('no-store')
    expect((await show(invoice.id)).json()).toEqual(invoice)
    expect(api.log).toContainEqual(
      expect.objectContaining({
        msg: 'invoice created',
        invoiceId: invoice.id,
        userId: api.userIds.staff,
      }),
    )
    // Nobody has asked for a PDF yet.
    expect(await listQueue(api.prisma)).toEqual([])
  })

  it('issues it today and gives the customer two weeks, unless told otherwise', async () => {
    expect(await createInvoice(api)).toMatchObject({
      issuedOn: '2026-11-24',
      dueOn: '2026-12-08',
      customer: { email: null, taxId: null },
      notes: null,
    })
    expect(await createInvoice(api, { issuedOn: '2028-02-20' })).toMatchObject({
      dueOn: '2028-03-05',
    })
    expect(await createInvoice(api, { dueOn: '2999-12-31' })).toMatchObject({
      issuedOn: '2026-11-24',
      dueOn: '2999-12-31',
    })
  })

  it('takes what is just within the limits, and keeps it exactly', async () => {
    const lines = [
      { ...line, unitPriceMinor: LARGEST },
      { ...line, unitPriceMinor: -LARGEST },
      { ...line, quantity: 1_000_000, unitPriceMinor: 1, description: 'é'.repeat(500) },
      { ...line, quantity: '0.001', unitPriceMinor: 1_000, taxRateBasisPoints: 10_000 },
    ]
    const created = await createInvoice(api, {
      lines,
      number: 'x'.repeat(64),
      locale: 'ar-EG-u-nu-latn',
      notes: 'x'.repeat(2_000),
    })
    expect(created).toMatchObject({
      grossMinor: 1_000_002,
      locale: 'ar-EG-u-nu-latn',
      lines: [
        { unitPriceMinor: LARGEST, netMinor: LARGEST },
        { unitPriceMinor: -LARGEST, netMinor: -LARGEST },
        { quantity: '1000000' },
        { quantity: '0.001', netMinor: 1 },
      ],
    })
    expect(await createInvoice(api, { lines: [lines[0]] })).toMatchObject({ grossMinor: LARGEST })
    expect(await createInvoice(api, { lines: [lines[1]] })).toMatchObject({ grossMinor: -LARGEST })
  })

  it('takes 5,000 lines, in their order', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => ({
      description: `Line ${i + 1} ${'x'.repeat(480)}`,
      quantity: '1.234',
      unitPriceMinor: i,
      taxRateBasisPoints: 1_900,
    }))
    const created = await createInvoice(api, { lines })
    const shown = (await show(created.id)).json()
    expect(shown).toEqual(created)
    expect(shown.lines.map((one: { description: string }) => one.description)).toEqual(
      lines.map(({ description }) => description),
    )
    const nets = shown.lines.map(({ netMinor }: { netMinor: number }) => netMinor)
    const net = nets.reduce((sum: number, one: number) => sum + one, 0)
    expect([shown.netMinor, shown.taxes]).toEqual([
      net,
      [{ rateBasisPoints: 1_900, netMinor: net, taxMinor: shown.taxMinor }],
    ])
  })

  describe('refuses, and says why:', () => {
    for (const [what, changes, path, message] of refused) {
      it(what, async () => {
        const response = await post(invoiceBody(changes))
        expectInvalid(response, [path])
        expect(response.json().errors[0].message).toContain(message)
        expect(await api.prisma.invoice.count()).toBe(0)
      })
    }

    it('the first hundred of many mistakes', async () => {
      const lines = Array.from({ length: 5_000 }, () => ({ ...line, quantity: 0, price: 1 }))
      const { errors } = expectProblem(await post(invoiceBody({ lines })), 400)
      expect(errors).toHaveLength(100)
      expect(errors?.[0]?.path).toBe('body.lines.0.quantity')
    })

    it('more lines than it looks at, however little is in them', async () => {
      expectInvalid(await post(invoiceBody({ lines: Array(1_000_000).fill(0) })), ['body.lines'])
    })

    it('a body that is too large', async () => {
      const payload = invoiceBody({ notes: 'x'.repeat(4 * 1024 * 1024) })
      expectProblem(await post(payload), 413)
    })
  })

  describe('numbers', () => {
    it('run on, and past those that somebody has chosen', async () => {
      await createInvoice(api, { number: '2026-000002' })
      await createInvoice(api, { number: '2026-000003' })
      await createInvoice(api, { number: '2026-999999' })
      const numbers: string[] = []
      for (const changes of [{}, {}, { issuedOn: '2027-01-01' }]) {
        numbers.push((await createInvoice(api, changes)).number)
      }
      expect(numbers).toEqual(['2026-000001', '2026-000004', '2027-000005'])
    })

    it('are not given twice: a second one is a conflict, and of two at once one wins', async () => {
      const answers = await Promise.all([
        post(invoiceBody({ number: 'A-1' })),
        post(invoiceBody({ number: 'A-1' })),
      ])
      expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([201, 409]))
      const third = expectProblem(await post(invoiceBody({ number: 'A-1' })), 409)
      expect(third.detail).toContain('number already')
      expect(await api.prisma.invoice.count()).toBe(1)
      expect(await api.prisma.invoiceLine.count()).toBe(1)
    })
  })
})

describe('GET /api/invoices', () => {
  it('shows of each what a list needs', async () => {
    const { id } = await createInvoice(api, { number: 'A-1', currency: 'JPY' })
    const response = await list()
    expect(response.json()).toEqual({
      invoices: [
        {
          id,
          number: 'A-1',
          customerName: 'Example GmbH',
          currency: 'JPY',
          currencyDigits: 0,
          grossMinor: 17_850,
          issuedOn: '2026-11-24',
          dueOn: '2026-12-08',
          version: 1,
          createdAt: '2026-11-24T09:00:00.000Z',
          pdf: 'none',
        },
      ],
      nextCursor: null,
    })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  it('shows where the PDF of each stands, in its present version', async () => {
    const ask = async (changes: object) => {
      const invoice = await createInvoice(api, changes)
      const url = `/api/invoices/${invoice.id}/pdf`
      const response = await api.as('staff', { method: 'POST', url })
      return { invoice, jobId: response.json().jobId as string }
    }
    await createInvoice(api, { number: 'none' })
    await ask({ number: 'waiting' })
    const running = await ask({ number: 'running' })
    await setWork(api.prisma, running.jobId, 'active')
    const retried = await ask({ number: 'retried' })
    await setWork(api.prisma, retried.jobId, 'retry')
    const failed = await ask({ number: 'failed' })
    await setWork(api.prisma, failed.jobId, 'failed', { code: 'font_missing', message: '' })
    const ready = await ask({ number: 'ready' })
    await markRendered(api.prisma, ready.invoice)
    const changed = await ask({ number: 'changed' })
    await markRendered(api.prisma, changed.invoice)
    await put(changed.invoice.id, invoiceBody({ version: 1 }))
    // Somebody removed the work from the queue by hand.
    const forgotten = await ask({ number: 'forgotten' })
    await api.prisma.$executeRaw`delete from "JobWork" where "id" = ${forgotten.jobId}::uuid`

    const { invoices } = (await list()).json<{ invoices: { number: string; pdf: string }[] }>()
    const states = Object.fromEntries(invoices.map(({ number, pdf }) => [number, pdf]))
    expect(states).toEqual({
      none: 'none',
      waiting: 'waiting',
      running: 'waiting',
      retried: 'waiting',
      failed: 'failed',
      ready: 'ready',
      changed: 'none',
      forgotten: 'none',
    })
    for (const { id, pdf } of (await list()).json().invoices) {
      expect((await show(id)).json().pdf).toBe(pdf)
    }
  })

  it('leads from page to page, newest first, while more come in', async () => {
    const start = api.clock.now()
    const ids: string[] = []
    try {
      for (let i = 0; i < 9; i += 1) {
        // Several rows have the same instant.
        if (i % 3 === 0) api.clock.advance(1_000)
        ids.push((await createInvoice(api)).id)
      }
      const seen: string[] = []
      let query = 'limit=4'
      for (let pages = 1; pages <= 3; pages += 1) {
        const { invoices, nextCursor } = (await list(query)).json()
        seen.push(...invoices.map(({ id }: { id: string }) => id))
        expect(nextCursor === null).toBe(pages === 3)
        query = `limit=4&cursor=${nextCursor}`
        api.clock.advance(1_000)
        await createInvoice(api)
      }
      expect(seen).toHaveLength(9)
      expect(seen.toSorted()).toEqual(ids.toSorted())
      expect(new Set(seen.slice(0, 3))).toEqual(new Set(ids.slice(6)))
    } finally {
      api.clock.set(start)
    }
  })

  for (const [query, path] of [
    ['limit=0', 'query.limit'],
    ['cursor=abc', 'query.cursor'],
    ['page=2', 'query.page'],
  ] as const) {
    it(`refuses ${query.slice(0, 60)}`, async () => expectInvalid(await list(query), [path]))
  }
})

describe('GET /api/invoices/:id', () => {
  it('does not know one that never was, nor what is not an id', async () => {
    expectProblem(await show(UNKNOWN_ID), 404)
    for (const id of ['1', `${UNKNOWN_ID}0`]) expectInvalid(await show(id), ['params.id'])
  })
})

describe('PUT /api/invoices/:id', () => {
  it('replaces all of it, and raises the version', async () => {
    const before = await createInvoice(api, {
      number: 'A-1',
      customer: { ...customer, email: 'old@example.com', taxId: 'old' },
      notes: 'old',
      lines: [line, line, line],
    })
    const response = await put(before.id, {
      version: 1,
      customer: { name: 'Example Ltd', address: ['1 Example Street'] },
      currency: 'GBP',
      locale: 'en-GB',
      lines: [{ ...line, description: 'Other work', quantity: '2' }],
    })
    expect(response.statusCode).toBe(200)
    const after = response.json()
    expect(after).toMatchObject({
      id: before.id,
      version: 2,
      // The body leaves these out, and they stay.
      number: 'A-1',
      issuedOn: '2026-11-24',
      dueOn: '2026-12-08',
      customer: {
        name: 'Example Ltd',
        address: ['1 Example Street'],
        email: null,
        taxId: null,
      },
      currency: 'GBP',
      locale: 'en-GB',
      notes: null,
      lines: [{ description: 'Other work', quantity: '2', netMinor: 200 }],
      grossMinor: 200,
    })
    expect(after.lines).toHaveLength(1)
    expect((await show(before.id)).json()).toEqual(after)
    expect(await api.prisma.invoiceLine.count()).toBe(1)
    expect(await listQueue(api.prisma)).toEqual([])
  })

  it('takes what was read, as it was read', async () => {
    const { id } = await createInvoice(api, { notes: 'as it is' })
    const read = (await show(id)).json()
    const { number, version, locale, currency, issuedOn, dueOn, notes } = read
    // The API computes the amounts and takes none from the body.
    const lines = read.lines.map((one: object) => ({ ...one, netMinor: undefined }))
    const body = { number, version, locale, currency, issuedOn, dueOn, notes, lines }
    const response = await put(id, { ...body, customer: read.customer })
    expect(response.json()).toEqual({
      ...read,
      version: 2,
      updatedAt: response.json().updatedAt,
    })
  })

  it('refuses a version that is outdated, and changes nothing', async () => {
    const { id } = await createInvoice(api)
    await put(id, invoiceBody({ version: 1 }))
    const before = (await show(id)).json()
    for (const version of [1, 3]) {
      const { detail } = expectProblem(await put(id, invoiceBody({ version })), 409)
      expect(detail).toContain('its version is 2')
    }
    expect((await show(id)).json()).toEqual(before)
  })

  it('lets one of many win who change it at once', async () => {
    const { id } = await createInvoice(api)
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => put(id, invoiceBody({ version: 1, notes: `by ${i}` }))),
    )
    const winner = answers.findIndex(({ statusCode }) => statusCode === 200)
    expect(answers.filter(({ statusCode }) => statusCode === 409)).toHaveLength(9)
    expect((await show(id)).json()).toMatchObject({ version: 2, notes: `by ${winner}` })
  })

  it('changes the number, unless another invoice has it', async () => {
    const { id } = await createInvoice(api, { number: 'A-1' })
    await createInvoice(api, { number: 'A-2' })
    expectProblem(await put(id, invoiceBody({ version: 1, number: 'A-2' })), 409)
    expect((await show(id)).json()).toMatchObject({ version: 1, number: 'A-1' })
    const response = await put(id, invoiceBody({ version: 1, number: 'A-3' }))
    expect(response.json()).toMatchObject({ version: 2, number: 'A-3' })
  })

  it('compares a date with the one that stays', async () => {
    const { id } = await createInvoice(api, { issuedOn: '2026-11-01' })
    const early = await put(id, invoiceBody({ version: 1, dueOn: '2026-10-31' }))
    expectInvalid(early, ['body.dueOn'])
    const late = await put(id, invoiceBody({ version: 1, issuedOn: '2026-12-01' }))
    expectInvalid(late, ['body.dueOn'])
    expect((await put(id, invoiceBody({ version: 1, dueOn: '2026-11-01' }))).statusCode).toBe(200)
  })

  it('does not know one that never was, nor takes what a new one may not have, or no version', async () => {
    expectProblem(await put(UNKNOWN_ID, invoiceBody({ version: 1 })), 404)
    for (const version of [undefined, 0, 1.5, '1', 2 ** 31]) {
      expectInvalid(await put(UNKNOWN_ID, invoiceBody({ version })), ['body.version'])
    }
    const blank = { version: 1, ...withCustomer({ name: ' ' }) }
    expectInvalid(await put(UNKNOWN_ID, invoiceBody(blank)), ['body.customer.name'])
  })
})
