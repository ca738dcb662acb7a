import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { Paint } from './createPaint.ts'

export interface StackSummary {
  apiUrl: string
  workerUrl: string
  /** Null without a local inbox: mail goes elsewhere. */
  inboxUrl: string | null
  /** Empty without demo accounts, as in production. */
  demoUsers: { email: string; role: string }[]
  demoPassword: string
  jobsEnabled: boolean
  nextRuns: { name: string; nextRun: Date | null }[]
  /** `place`: the embedded database's folder, or the address of another database. */
  database: { isEmbedded: boolean; place: string }
  /** Whether the processes reload changed code. */
  isDev: boolean
  now: Date
}

/** Writes what somebody who just started the stack wants to know, line by line. */
export function describeStack(summary: StackSummary, paint: Paint): string[] {
  const bold = (text: string) => paint('bold', text)
  const dim = (text: string) => paint('dim', text)
  const link = (text: string) => paint('underline', text)
  const row = (name: string, text: string) => `${bold(name.padEnd(11))}${text}`
  const { apiUrl, workerUrl, inboxUrl, jobsEnabled, database, now } = summary
  return [
    '',
    row('Console', `${link(`${apiUrl}/console`)} ${dim('for admins and owners')}`),
    row('API', link(apiUrl)),
    row('API docs', link(`${apiUrl}/docs`)),
    row('Worker', link(`${workerUrl}/health/ready`)),
    ...(inboxUrl === null
      ? []
      : [row('Inbox', `${link(inboxUrl)} ${dim('all mail ends up here')}`)]),
    '',
    ...describeLogins(),
    row(
      'Jobs',
      jobsEnabled
        ? paint('green', 'enabled')
        : `${paint('yellow', 'disabled')}: JOBS_ENABLED is false, so none is run`,
    ),
    ...(jobsEnabled ? describeNextRuns() : []),
    '',
    ...fold(`${database.isEmbedded ? 'embedded, in ' : ''}${shorten(database.place)}`).map(
      (text, index) => row(index === 0 ? 'Database' : '', text),
    ),
    '',
    dim(`${summary.isDev ? 'Reloads at each change. ' : ''}Ctrl-C stops everything.`),
  ]

  function describeLogins(): string[] {
    const { demoUsers, demoPassword } = summary
    if (demoUsers.length === 0) return []
    const width = Math.max(...demoUsers.map(({ email }) => email.length))
    return [
      ...demoUsers.map(({ email, role }, index) =>
        row(index === 0 ? 'Log in' : '', `${email.padEnd(width)}  ${dim(role)}`),
      ),
      row('', `password ${bold(demoPassword)} ${dim('for each')}`),
      '',
    ]
  }

  function describeNextRuns(): string[] {
    const width = Math.max(0, ...summary.nextRuns.map(({ name }) => name.length))
    return summary.nextRuns.map(({ name, nextRun }) =>
      row('', `${name.padEnd(width)}  ${nextRun ? describeInstant(nextRun, now) : 'never'}`),
    )
  }
}

/** Writes an instant as `14:15, in 9 min`, in the local zone, with the day unless that is today. */
function describeInstant(instant: Date, now: Date): string {
  const time = instant.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
  const isToday = instant.toDateString() === now.toDateString()
  const day = instant.toLocaleDateString('en-GB', {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
  })
  return `${isToday ? '' : `${day}, `}${time}, in ${describeDuration(instant.getTime() - now.getTime())}`
}

function describeDuration(ms: number): string {
  const minutes = Math.round(ms / 60_000)
  if (minutes < 1) return `${Math.max(0, Math.round(ms / 1_000))} s`
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.round(hours / 24)} days`
}

/** Cuts a text into pieces that fit a terminal of 80 columns beside the frame and a name. */
function fold(text: string): string[] {
  return text.match(/.{1,64}/gu) ?? []
}

/** Writes a path relative to the current folder, if that is shorter. */
function shorten(path: string): string {
  if (!path.startsWith('/')) return path
  const short = relative(process.cwd(), path)
  return short !== '' && short.length < path.length ? short : path
}

/** Draws a frame around lines, which may be styled, as wide as they need. */
export function drawBox(title: string, lines: string[], paint: Paint): string {
  const inner = Math.max(title.length + 2, ...lines.map(widthOf))
  const frame = (text: string) => paint('cyan', text)
  const heading = paint('bold', title)
  return [
    `${frame('╭─')} ${heading} ${frame(`${'─'.repeat(inner - title.length - 1)}╮`)}`,
    ...lines.map(
      (line) => `${frame('│')} ${line}${' '.repeat(inner - widthOf(line))} ${frame('│')}`,
    ),
    frame(`╰${'─'.repeat(inner + 2)}╯`),
    '',
  ].join('\n')
}

function widthOf(text: string): number {
  return [...new Intl.Segmenter().segment(stripVTControlCharacters(text))].length
}
