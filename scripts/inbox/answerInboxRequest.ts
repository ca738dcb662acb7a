import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ReceivedMessage } from '@roundsman/testing/createSmtpServer'
import { renderInbox, renderMessage } from './renderInbox.ts'

interface Answer {
  status: number
  type: string
  body: string | Buffer
  headers?: Record<string, string>
}

/** The inbox's own pages run no script and load nothing. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"
/** A message may look as it was meant to, but runs nothing and loads nothing. */
const MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

/**
 * Answers a request to the inbox: `/` lists the messages, `/messages/1` shows one, with `/html` and `/attachments/1`
 * below it, and `/api/messages` has all as JSON. Numbers begin with 1, in the order in which messages came.
 */
export function answerInboxRequest(
  messages: readonly ReceivedMessage[],
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { status, type, body, headers } = isForUs(request)
    ? answer(messages, request)
    : notFound('This inbox is on this machine only')
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/**
 * Whether a request names this machine. A foreign page could point its own name to this address, and its browser would
 * let it read the answers.
 */
function isForUs({ headers }: IncomingMessage): boolean {
  return /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(headers.host ?? '')
}

/** Finds the answer to a request by its path. */
function answer(
  messages: readonly ReceivedMessage[],
  { method, url = '/' }: IncomingMessage,
): Answer {
  if (method !== 'GET' && method !== 'HEAD') return notFound('There is nothing to change here')
  if (url === '/') return page(renderInbox(messages))
  if (url === '/health') return json({ status: 'ok' })
  if (url === '/api/messages') return json({ messages: messages.map(describe) })
  const [, number, part, index] =
    /^\/messages\/(\d+)(?:\/(html|attachments\/(\d+)))?$/.exec(url) ?? []
  const message = messages[Number(number) - 1]
  if (!message) return notFound('There is no such message')
  if (part === undefined) return page(renderMessage(message, Number(number)))
  if (part === 'html') {
    return {
      status: 200,
      type: 'text/html; charset=utf-8',
      body: message.mail.html || 'The message has none.',
      headers: { 'content-security-policy': MAIL_POLICY },
    }
  }
  const attachment = message.mail.attachments[Number(index) - 1]
  if (!attachment) return notFound('There is no such attachment')
  const isPdf = attachment.contentType === 'application/pdf'
  const name = encodeURIComponent(attachment.filename ?? 'attachment')
  return {
    status: 200,
    // A browser shows nothing but PDFs: anything else would be a page of this server.
    type: isPdf ? attachment.contentType : 'application/octet-stream',
    body: attachment.content,
    headers: {
      'content-disposition': `${isPdf ? 'inline' : 'attachment'}; filename*=UTF-8''${name}`,
    },
  }
}

/** A message as /api/messages shows it. */
function describe({ sender, recipients, receivedAtMs, mail }: ReceivedMessage) {
  return {
    sender,
    recipients,
    receivedAt: new Date(receivedAtMs).toISOString(),
    messageId: mail.messageId,
    subject: mail.subject ?? '',
    text: mail.text ?? '',
    html: mail.html || null,
    attachments: mail.attachments.map(({ filename, contentType, size }) => ({
      filename,
      contentType,
      size,
    })),
  }
}

function page(body: string): Answer {
  return {
    status: 200,
    type: 'text/html; charset=utf-8',
    body,
    headers: { 'content-security-policy': PAGE_POLICY },
  }
}

function json(value: unknown): Answer {
  return { status: 200, type: 'application/json; charset=utf-8', body: JSON.stringify(value) }
}

function notFound(text: string): Answer {
  return { status: 404, type: 'text/plain; charset=utf-8', body: `${text}\n` }
}
