import { createHmac } from 'node:crypto'
import { checkWebhookOptions, type ALERT_FORMATS } from '../arguments/alerts.ts'
import type { AlertChannel, AlertNotice } from './alert.ts'

export interface AlertWebhookOptions {
  /** An http or https address, without a user and a password. It appears in no log line. */
  url: string | URL
  /**
   * Signs each request with `x-roundsman-signature: t=<seconds since 1970>,v1=<hex>`, the HMAC-SHA256 of `<t>.<body>`.
   * Default: requests are not signed. Never empty.
   */
  secret?: string | undefined
  /** `json`: the notice itself. `slack`: a message for an incoming webhook of Slack. Default `json`. */
  format?: AlertFormat
  /** The channel's name. Processes that send to the same address give it the same name. Default `webhook`. */
  name?: string
  /** Time-out for the receiver's answer. Default 10,000 ms. */
  timeoutMs?: number
}

export type AlertFormat = (typeof ALERT_FORMATS)[number]

/**
 * A channel that posts each notice as JSON. Any status from 200 to 299 means received. It reads only the status of the answer,
 * and follows no redirect, so that only the given address gets the notice.
 * @throws ArgumentError if the URL is not http or https, or has a user or password, or another option is invalid
 */
export function createAlertWebhook(options: AlertWebhookOptions): AlertChannel {
  const given = checkWebhookOptions(options)
  const { url, secret, format = 'json', name = 'webhook', timeoutMs = 10_000 } = given
  return {
    name,
    async send(notice, signal) {
      const body = JSON.stringify(format === 'slack' ? toSlack(notice) : notice)
      const answer = await post(url, body, {
        secret,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      })
      if (typeof answer === 'string') throw new Error(answer)
      // Discards the answer's body, and ignores its errors.
      await answer.body?.cancel().catch(() => undefined)
      if (!answer.ok) throw new Error(`status ${answer.status}`)
    },
  }
}

/** Slack accepts at most 3,000 characters in a section. Each character here may become five. */
const MAX_SLACK = 590

/**
 * The notice as a Slack message: its text for notifications, and blocks with the kind, the time in each reader's zone and a
 * link.
 */
function toSlack({ event, kind, text, startedAt, endedAt, url }: AlertNotice) {
  const cut = text.length > MAX_SLACK ? `${text.slice(0, MAX_SLACK).toWellFormed()}…` : text
  const at = endedAt ?? startedAt
  const seconds = Math.floor(Date.parse(at) / 1_000)
  const when = `<!date^${seconds}^{date_short_pretty} {time}|${escapeSlack(at)}>`
  const link = url === null ? [] : [`<${escapeSlack(url)}|Open the console>`]
  const about = [kind, `${event} ${when}`, ...link].join(' · ')
  return {
    text: escapeSlack(cut),
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text: escapeSlack(cut) } },
      { type: 'context', elements: [{ type: 'mrkdwn', text: about }] },
    ],
  }
}

/** Slack uses only these three characters for links, mentions and dates. */
const escapeSlack = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Posts the notice, and returns the answer, or a text with the reason why there is none. */
async function post(
  url: URL,
  body: string,
  { secret, signal }: { secret: string | undefined; signal: AbortSignal },
): Promise<Response | string> {
  const at = Math.floor(Date.now() / 1_000)
  try {
    return await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'roundsman',
        ...(secret !== undefined && {
          'x-roundsman-signature': `t=${at},v1=${sign(secret, `${at}.${body}`)}`,
        }),
      },
      body,
      redirect: 'manual',
      signal,
    })
  } catch (error) {
    // Uses the system's code or the error's name, since its message may quote the address.
    const { name, cause } = error as { name?: string; cause?: { code?: unknown } }
    return typeof cause?.code === 'string' ? cause.code : (name ?? 'error')
  }
}

function sign(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('hex')
}
