import { expect, it } from 'vitest'
import { needRolldown } from '../../src/program/needRolldown.ts'

const missing = (name: string) =>
  Object.assign(new Error(`Cannot find package '${name}' imported from /product/main.js`), {
    code: 'ERR_MODULE_NOT_FOUND',
  })

it('says how to install rolldown where it is missing', async () => {
  await expect(needRolldown('build', () => Promise.reject(missing('rolldown')))).rejects.toThrow(
    'roundsman build needs the package rolldown, as a devDependency: npm install --save-dev rolldown@1',
  )
})

it('returns what it loads, and rejects with any other error', async () => {
  expect(await needRolldown('build', async () => 'loaded')).toBe('loaded')
  await expect(needRolldown('build', () => Promise.reject(missing('other')))).rejects.toThrow(
    "Cannot find package 'other'",
  )
})
