import { expect, it } from 'vitest'
import { parseMailbox } from '../../src/email/parseMailbox.ts'

it.each([
  ['billing@example.com', { name: '', address: 'billing@example.com' }],
  [' billing@example.com ', { name: '', address: 'billing@example.com' }],
  ['Example <billing@example.com>', { name: 'Example', address: 'billing@example.com' }],
  ['"Example, Ltd." <b@example.com>', { name: 'Example, Ltd.', address: 'b@example.com' }],
  ['会社 <b@例え.example>', { name: '会社', address: 'b@例え.example' }],
  ['جهة@example.com', { name: '', address: 'جهة@example.com' }],
])('%j is one', (text, mailbox) => {
  expect(parseMailbox(text)).toEqual(mailbox)
})

it.each([
  '',
  'nobody',
  '@example.com',
  'a@',
  'a@b@example.com',
  'a b@example.com',
  'a@exa mple.com',
  'a@example.com, b@example.com',
  'a@example.com;b@example.com',
  'a@example.com\r\nBcc: b@example.com',
  'Example\r\nBcc: b@example.com <a@example.com>',
  'a@example.com> <b@example.com',
  '"a b"@example.com',
  'a@[127.0.0.1]',
  'a@exa\u202Emple.com',
  `${'a'.repeat(250)}@example.com`,
])('%j is none', (text) => {
  expect(parseMailbox(text)).toBeNull()
})
