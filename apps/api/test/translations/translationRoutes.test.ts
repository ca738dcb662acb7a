import { expectInvalid, expectProblem, openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'

const api = openForTests(createTestApi)

function lookUp(locale: string, key: string) {
  return api.app.inject(`/api/i18n/${locale}/${key}`)
}

it('misses once, then hits', async () => {
  const miss = await lookUp('de', 'invoice.title')
  expect(miss.statusCode).toBe(200)
  expect(miss.headers['x-cache']).toBe('miss')
  expect(miss.json()).toEqual({ value: 'Rechnung' })

  const hit = await lookUp('de', 'invoice.title')
  expect(hit.headers['x-cache']).toBe('hit')
  expect(hit.json()).toEqual({ value: 'Rechnung' })

  expect(await api.prisma.i18nCacheEntry.findMany({ where: { locale: 'de' } })).toEqual([
    expect.objectContaining({
      key: 'invoice.title',
      value: 'Rechnung',
      createdAt: api.clock.now(),
    }),
  ])
})

it('answers with what the cache has, and misses again once it was cleaned up', async () => {
  const entry = await api.prisma.i18nCacheEntry.create({
    data: { locale: 'en', key: 'invoice.title', value: 'Bill' },
  })
  const hit = await lookUp('en', 'invoice.title')
  expect(hit.json()).toEqual({ value: 'Bill' })
  await api.prisma.i18nCacheEntry.delete({ where: { id: entry.id } })
  const miss = await lookUp('en', 'invoice.title')
  expect(miss.headers['x-cache']).toBe('miss')
  expect(miss.json()).toEqual({ value: 'Invoice' })
})

it('makes one entry when many miss at once', async () => {
  const responses = await Promise.all(
    Array.from({ length: 20 }, () => lookUp('fr', 'invoice.title')),
  )
  expect(responses.map((response) => response.statusCode)).toEqual(Array(20).fill(200))
  expect(await api.prisma.i18nCacheEntry.count({ where: { locale: 'fr' } })).toBe(1)
})

describe('does not find, and does not remember', () => {
  const cases = [
    ['en', 'no.such.key'],
    ['xx', 'invoice.title'],
    ['en', 'constructor'],
    ['en', '__proto__'],
    ['constructor', 'name'],
  ] as const
  for (const [locale, key] of cases) {
    it(`${locale} ${key}`, async () => {
      const response = await lookUp(locale, key)
      if (locale === 'constructor') expectInvalid(response, ['params.locale'])
      else expectProblem(response, 404)
      expect(response.headers['x-cache']).toBeUndefined()
      expect(await api.prisma.i18nCacheEntry.count({ where: { locale, key } })).toBe(0)
    })
  }
})

describe('refuses what is neither locale nor key', () => {
  const cases: [locale: string, key: string, path: string][] = [
    ['e', 'invoice.title', 'params.locale'],
    ['en_US', 'invoice.title', 'params.locale'],
    ['en%00', 'invoice.title', 'params.locale'],
    ['en', '%00', 'params.key'],
    ['en', 'x'.repeat(201), 'params.key'],
  ]
  for (const [locale, key, path] of cases) {
    it(`${locale} ${key.slice(0, 20)}`, async () => {
      expectInvalid(await lookUp(locale, key), [path])
    })
  }
})

it('has the same keys in every language', async () => {
  const catalogues = await Promise.all(
    ['en', 'de', 'fr'].map(async (locale) => {
      const catalogue = await import(`../../src/translations/${locale}.json`, {
        with: { type: 'json' },
      })
      return Object.keys(catalogue.default)
    }),
  )
  expect(catalogues[0]?.length).toBeGreaterThan(11)
  expect(catalogues[1]).toEqual(catalogues[0])
  expect(catalogues[2]).toEqual(catalogues[0])
})
