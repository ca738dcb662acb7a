import { expect, it } from 'vitest'
import { parseSmtpUrl } from '../../src/email/parseSmtpUrl.ts'

it.each([
  ['smtp://mail.example.com', { host: 'mail.example.com', port: 587, isSecure: false, auth: null }],
  [
    'smtps://mail.example.com/',
    { host: 'mail.example.com', port: 465, isSecure: true, auth: null },
  ],
  ['SMTP://127.0.0.1:1025', { host: '127.0.0.1', port: 1025, isSecure: false, auth: null }],
  ['smtp://[::1]:25', { host: '::1', port: 25, isSecure: false, auth: null }],
  [
    'smtp://m%C3%BCnchen.example',
    { host: 'xn--mnchen-3ya.example', port: 587, isSecure: false, auth: null },
  ],
  [
    'smtps://us%40er:p%3Aa%2Fss%25@mail.example.com:2465',
    {
      host: 'mail.example.com',
      port: 2465,
      isSecure: true,
      auth: { user: 'us@er', pass: 'p:a/ss%' },
    },
  ],
])('%s is one', (text, address) => {
  expect(parseSmtpUrl(text)).toEqual(address)
})

it.each([
  'mail.example.com',
  'mail.example.com:25',
  'http://mail.example.com',
  'smtp:mail.example.com',
  'smtp://',
  'smtp://:25',
  'smtp://mail.example.com:0',
  'smtp://mail.example.com:99999',
  'smtp://mail.example.com/path',
  'smtp://mail.example.com?pool=true',
  'smtp://mail.example.com#part',
  'smtp://user:100%@mail.example.com',
])('%s is none', (text) => {
  expect(parseSmtpUrl(text)).toBeNull()
})
