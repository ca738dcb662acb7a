// Not quick: starts processes.
import { request } from 'node:http'
import { join } from 'node:path'
import { spawnProcess } from '@roundsman/testing'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createMailer } from '../../apps/worker/src/email/createMailer.ts'
import { WORKSPACE_ROOT } from './stack.ts'

const INBOX = join(WORKSPACE_ROOT, 'scripts/inbox/main.ts')

const email = {
  to: { name: 'A buyer', address: 'buyer@example.com' },
  messageId: '<one@roundsman.localhost>',
  date: new Date(),
  language: 'en',
  subject: '<b>Invoice</b> 1',
  text: 'Dear <customer>',
  html: '<p>Dear customer</p><script>alert(1)</script>',
  attachments: [
    { filename: 'invoice.pdf', contentType: 'application/pdf', content: Buffer.from('%PDF-') },
    { filename: 'page.html', contentType: 'text/html', content: Buffer.from('<script></script>') },
  ],
}

function spawnInbox(env: Record<string, string | undefined> = {}, hasInput = false) {
  return spawnProcess(INBOX, {
    hasInput,
    env: {
      INBOX_PORT: '0',
      INBOX_SMTP_PORT: '0',
      LOG_LEVEL: undefined,
      ROUNDSMAN_SUPERVISED: undefined,
      ...env,
    },
  })
}

async function openInbox() {
  const inbox = spawnInbox()
  const { url, smtpUrl } = JSON.parse(await inbox.waitForLine('"msg":"inbox listening"')) as {
    url: string
    smtpUrl: string
  }
  const mailer = createMailer({ smtpUrl, from: { name: '', address: 'billing@example.com' } })
  const send = () => mailer.send(email, new AbortController().signal)
  const get = (path: string) => fetch(url + path)
  return { inbox, url, send, get, close: () => mailer.close() }
}

test('shows what was sent, its attachments too, and ends when it is asked to', async () => {
  const { inbox, send, get, close } = await openInbox()
  onTestFinished(close)
  expect(await (await get('/')).text()).toContain('Nothing has come yet.')

  expect(await send()).toEqual({ kind: 'sent' })

  const list = await (await get('/')).text()
  expect(list).toContain('buyer@example.com')
  expect(list).toContain('&#60;b&#62;Invoice&#60;/b&#62; 1')
  const page = await (await get('/messages/1')).text()
  expect(page).toContain('Dear &#60;customer&#62;')
  expect(page).toContain('invoice.pdf')
  const pdf = await get('/messages/1/attachments/1')
  expect(pdf.headers.get('content-type')).toBe('application/pdf')
  expect(await pdf.text()).toBe('%PDF-')
  expect(await (await get('/api/messages')).json()).toMatchObject({
    messages: [{ recipients: ['buyer@example.com'], subject: email.subject, text: email.text }],
  })
  expect((await get('/messages/2')).status).toBe(404)

  expect(await inbox.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

/** One inbox for all tests that only send to it and look. It holds what other tests have sent as well. */
let opened: Awaited<ReturnType<typeof openInbox>>

beforeAll(async () => {
  opened = await openInbox()
})

afterAll(() => opened.close())

test('what was sent runs nothing and loads nothing', async () => {
  const { send, get } = opened
  await send()

  const html = await get('/messages/1/html')
  const attachment = await get('/messages/1/attachments/2')

  expect(html.headers.get('content-security-policy')).toMatch(/^sandbox; default-src 'none'/)
  expect(await (await get('/messages/1')).text()).toContain('<iframe sandbox src=')
  expect(attachment.headers.get('content-type')).toBe('application/octet-stream')
  expect(attachment.headers.get('content-disposition')).toMatch(/^attachment/)
})

test('no other site can read it', async () => {
  const { url, send, get } = opened
  await send()
  const { headers } = await get('/api/messages')
  expect(headers.has('access-control-allow-origin')).toBe(false)

  const status = await new Promise((resolve, reject) => {
    request(url, { headers: { host: 'elsewhere.example' } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })

  expect(status).toBe(404)
})

test('says which port is taken', async () => {
  const { url } = opened
  const { port } = new URL(url)

  const second = spawnInbox({ INBOX_PORT: port })

  expect(await second.exited).toEqual({ code: 1, signal: null })
  expect(second.stderr.join('\n')).toMatch(`INBOX_PORT: ${port} is taken by another process`)
})
