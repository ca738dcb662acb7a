import type { ReceivedMessage } from '@roundsman/testing/createSmtpServer'

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { margin: 0 auto; max-width: 64rem; padding: 1.5rem }
  h1 { font-size: 1.25rem }
  table { border-collapse: collapse; width: 100% }
  th, td { border-bottom: 1px solid #8884; padding: .5rem .75rem .5rem 0; text-align: start; vertical-align: top }
  iframe { background: #fff; border: 1px solid #8884; height: 26rem; width: 100% }
  pre { overflow-x: auto; white-space: pre-wrap }
  time { white-space: nowrap }`

/** The page that lists the messages, the latest first. It reloads itself. */
export function renderInbox(messages: readonly ReceivedMessage[]): string {
  const rows = messages
    .map(
      (message, index) => `<tr>
<td>${time(message)}</td>
<td>${escape(message.recipients.join(', '))}</td>
<td><a href="/messages/${index + 1}" dir="auto">${escape(message.mail.subject || '(no subject)')}</a></td>
</tr>`,
    )
    .toReversed()
  const table = `<table>
<thead><tr><th scope="col">Received</th><th scope="col">To</th><th scope="col">Subject</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table>`
  return document(
    'Inbox',
    `<h1>Inbox</h1>
${rows.length === 0 ? '<p>Nothing has come yet.</p>' : table}`,
    '<meta http-equiv="refresh" content="3">',
  )
}

/** The page of one message. Its HTML part shows in a frame without scripts. */
export function renderMessage(message: ReceivedMessage, number: number): string {
  const { mail, recipients } = message
  const attachments = mail.attachments.map(
    ({ filename = 'attachment', size }, index) =>
      `<li><a href="/messages/${number}/attachments/${index + 1}">${escape(filename)}</a> (${size.toLocaleString('en')} bytes)</li>`,
  )
  const subject = mail.subject || '(no subject)'
  return document(
    subject,
    `<p><a href="/">Inbox</a></p>
<h1 dir="auto">${escape(subject)}</h1>
<table>
<tr><th scope="row">From</th><td>${escape(mail.from?.text ?? '')}</td></tr>
<tr><th scope="row">To</th><td>${escape(recipients.join(', '))}</td></tr>
<tr><th scope="row">Received</th><td>${time(message)}</td></tr>
<tr><th scope="row">Message-ID</th><td>${escape(mail.messageId ?? '')}</td></tr>
</table>
${attachments.length === 0 ? '' : `<h2>Attachments</h2>\n<ul>${attachments.join('\n')}</ul>`}
<h2>HTML</h2>
<iframe sandbox src="/messages/${number}/html" title="The message"></iframe>
<h2>Text</h2>
<pre dir="auto">${escape(mail.text ?? '')}</pre>`,
  )
}

function time({ receivedAtMs }: ReceivedMessage): string {
  const date = new Date(receivedAtMs)
  return `<time datetime="${date.toISOString()}">${date.toLocaleString('en-GB')}</time>`
}

function document(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${head}
<title>${escape(title)}</title><style>${STYLE}</style></head>
<body>
${body}
</body>
</html>
`
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
