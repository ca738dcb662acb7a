import type { WireRequest } from './sendRequest.ts'

const MAX_SHOWN = 2_000

/** A command line that sends the request again. Tokens are left to be filled in: a report is no place for them. */
export function toCurl({ method, target, headers, body }: WireRequest): string {
  const parts = ['curl', '-i', '-X', method, '--path-as-is', quote(`$BASE_URL${target}`)]
  for (const [name, value] of headers) {
    const shown = value
      .replace(/^Bearer \S+\.\S+\.\S{20,}$/, 'Bearer $TOKEN')
      .replace(/(?<=roundsman_session=)\S+\.\S+\.\S{20,}/, '$SESSION')
    parts.push('-H', quote(`${name}: ${shorten(shown)}`))
  }
  if (body) parts.push('--data-binary', quote(shorten(body.toString())))
  return parts.join(' ')
}

/** A variable stays one, and everything else means nothing to the shell. */
function quote(text: string): string {
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(String.raw`\"`, '"')
    .replaceAll("'", String.raw`\'`)
  const [, variable, rest] = /^(.*\$(?:BASE_URL|TOKEN|SESSION))(.*)$/s.exec(escaped) ?? []
  if (variable === undefined) return `$'${escaped}'`
  return `"${variable}"${rest === '' ? '' : `$'${rest}'`}`
}

function shorten(text: string): string {
  return text.length <= MAX_SHOWN
    ? text
    : `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)`
}
