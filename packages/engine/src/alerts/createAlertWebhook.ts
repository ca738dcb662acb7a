import { createHmac } from 'node:crypto'
import type { AlertChannel } from './alert.ts'

export interface AlertWebhookOptions {
  /** http or https, without a user and a password in it. It is in no log line. */
  url: string | URL
  /**
   * With it, each request carries `x-roundsman-signature: t=<seconds since 1970>,v1=<hex>`: the HMAC-SHA256 of
   * `<t>.<body>`. Default: requests are not signed.
   */
  secret?: string | undefined
  /** Processes that send to the same address give it the same name. Default `webhook`. */
  name?: string
  /** For an answer. Default 10,000 ms. */
  timeoutMs?: number
}

/**
 * A channel that posts each notice as JSON, and takes any status from 200 to 299 for a yes. Nothing of the answer is read
 * but its status, and no redirection is followed: who has been given the address is who is told.
 * @throws TypeError when the URL is not one that can be posted to
 */
export function createAlertWebhook(options: AlertWebhookOptions): AlertChannel {
  const { secret, name = 'webhook', timeoutMs = 10_000 } = options
  const url = new URL(options.url)
  // fetch refuses credentials in an address.
  if (!/^https?:$/.test(url.protocol) || url.username + url.password !== '') {
    throw new TypeError('The webhook needs an http or https address, without a user and a password')
  }
  return {
    name,
    async send(notice, signal) {
      const body = JSON.stringify(notice)
      const response = await post(url, body, {
        secret,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      })
      if (typeof response === 'string') throw new Error(response)
      // However long it is, it says nothing to us; that it breaks off neither.
      await response.body?.cancel().catch(() => undefined)
      if (!response.ok) throw new Error(`status ${response.status}`)
    },
  }
}

/** Or why there is no answer. */
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
    // The system's code where there is one: the message of an error may quote the address.
    const { name, cause } = error as { name?: string; cause?: { code?: unknown } }
    return typeof cause?.code === 'string' ? cause.code : (name ?? 'error')
  }
}

function sign(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('hex')
}
