import { KEY_SORTS } from '@roundsman/engine/internal'
import type {
  JobsClient,
  KeyPage,
  KeySettings,
  LimitSettings,
  ListedKey,
  ListedLimit,
} from '@roundsman/engine/client'
import { currentUser } from '../command/currentUser.ts'
import { describeDuration } from '../command/describeDuration.ts'
import { describeInstant } from '../command/describeInstant.ts'
import { layOutFacts, layOutRows, onOneLine, standardLayout, type Fact } from '../command/layout.ts'
import { parseDate } from '../command/parseInstant.ts'
import { parseAction, parseWholeNumber, requireReason } from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { withClient, type ProductSource } from '../command/product.ts'
import { ForeseenError, UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { refuseUnknownJob } from '../command/unknownJob.ts'
import { told } from '../command/told.ts'

const limitsUsage = (call: string) => `Usage: ${call} list [--json]
       ${call} set <job or limit> [--global N|none] [--unpark] --reason TEXT [--json]

Lists the limits over all workers, and the runs that hold their slots now. set changes a limit immediately; running runs
continue. The limit stays after a deployment. The person and the reason are recorded.

  --global N     runs at once over all workers; none: the limit in the code
  --unpark       let work start although a rate-limited service asked to wait
  --reason TEXT  why, for the record
  --json         print one JSON object

Exit code: 0 done, or nothing to do, 1 the environment or the database needs attention, 2 usage`

const keysUsage = (
  call: string,
) => `Usage: ${call} list <job> [--key KEY] [--order ORDER] [--limit N] [--json]
       ${call} set <job> <key> [--per-key N|none] [--pause | --until DATE | --resume] [--unpark]
           --reason TEXT [--json]

Lists the partition keys of a job, those with the most waiting work first, and pauses or limits one of them.

  --key KEY      only this key
  --order ORDER  ${KEY_SORTS.join(', ')}; default waiting: the most waiting work first
  --limit N      how many to list, 1 to 200; default 20
  --per-key N    maximum of its runs at once; none: the limit in the code
  --pause        none of its work starts until it is resumed
  --until DATE   none of its work starts before then, in UTC unless it has an offset
  --resume       ends the pause
  --unpark       let work start although a rate-limited service asked to wait
  --reason TEXT  why, for the record
  --json         print one JSON object

Exit code: 0 done, or nothing to do, 1 the environment or the database needs attention, 2 usage`

const OF_LIMITS = {
  global: { type: 'string' },
  unpark: { type: 'boolean' },
  reason: { type: 'string' },
  json: { type: 'boolean' },
} as const
const OF_KEYS = {
  reason: { type: 'string' },
  json: { type: 'boolean' },
  key: { type: 'string' },
  order: { type: 'string' },
  limit: { type: 'string' },
  'per-key': { type: 'string' },
  pause: { type: 'boolean' },
  until: { type: 'string' },
  resume: { type: 'boolean' },
  unpark: { type: 'boolean' },
} as const

type LimitValues = ReturnType<typeof parseAction<typeof OF_LIMITS, string>>['values']
type KeyValues = ReturnType<typeof parseAction<typeof OF_KEYS, string>>['values']
interface Call<Values> {
  values: Values
  terminal: Terminal
  source: ProductSource
}

export function createLimitsCommand(source: ProductSource): Command {
  return {
    usage: limitsUsage(source.call),
    async run(args, terminal) {
      const { action, values, words } = parseAction(args, OF_LIMITS, {
        list: ['json'],
        set: ['global', 'unpark', 'reason', 'json'],
      })
      const [name] = words
      refuseMore(words, action === 'list' ? 0 : 1)
      const call = { values, terminal, source }
      if (action === 'list') return await listLimits(call)
      if (name === undefined) throw new UsageError('Which limit? Give the name of a job or a limit')
      return await setLimit(name, call)
    },
  }
}

export function createKeysCommand(source: ProductSource): Command {
  return {
    usage: keysUsage(source.call),
    async run(args, terminal) {
      const { action, values, words } = parseAction(args, OF_KEYS, {
        list: ['key', 'order', 'limit', 'json'],
        set: ['per-key', 'pause', 'until', 'resume', 'unpark', 'reason', 'json'],
      })
      const [name, key] = words
      refuseMore(words, action === 'list' ? 1 : 2)
      if (name === undefined) throw new UsageError('Which job? Give its name')
      const call = { values, terminal, source }
      if (action === 'list') return await listKeys(name, call)
      if (key === undefined) throw new UsageError('Which key? Give it after the job')
      return await setKey(name, key, call)
    },
  }
}

function refuseMore(words: readonly string[], most: number): void {
  if (words.length > most) throw new UsageError(`"${words.slice(most).join(' ')}" is too much`)
}

async function listLimits({ values, terminal, source }: Call<LimitValues>) {
  const product = await source.open(terminal)
  const limits = await withClient(product, (client) => client.limits.list())
  if (values.json) return print(terminal, { limits })
  const layout = standardLayout(terminal.stdout)
  if (limits.length === 0) return print(terminal, ['No job has a limit over all workers.'])
  const lines = limits.flatMap((limit) => [
    layout.paint('bold', limit.name),
    ...layOutFacts(describeLimit(limit), layout, 2),
  ])
  return print(terminal, lines)
}

function describeLimit(limit: ListedLimit): Fact[] {
  const { jobs, global, setGlobal, setBy, setReason, setAt, perKey, order, running, runs } = limit
  const { rateLimit, ratePerMs, rateBy, parkedUntil, parkReason } = limit
  const most = setGlobal ?? global
  return [
    ['shared by', jobs && jobs.join(', ')],
    ['at once', most === null ? `${running} run, without a limit` : `${running} of ${most}`],
    [
      'set',
      setGlobal !== null &&
        `by ${setBy} at ${describeInstant(setAt ?? '')}${because(setReason)}; in the code ${global ?? 'no limit'}`,
    ],
    ['of each key', perKey],
    ['keys', order],
    [
      'rate',
      rateLimit !== null &&
        `${rateLimit} starts in ${describeDuration(ratePerMs ?? 0)}${rateBy === 'key' ? ' of each key' : ''}`,
    ],
    [
      'waiting (429)',
      parkedUntil !== null && `until ${describeInstant(parkedUntil)}${because(parkReason)}`,
    ],
    ...runs.map(({ runId, name, key, startedAt }, nth): Fact => [
      nth === 0 ? 'held by' : '',
      `run ${runId} of ${name}${key === null ? '' : `, key ${key}`} since ${describeInstant(startedAt)}`,
    ]),
  ]
}

const because = (reason: string | null) => (reason === null ? '' : `: ${reason}`)

async function setLimit(name: string, { values, terminal, source }: Call<LimitValues>) {
  const { global: text, unpark = false } = values
  if (text === undefined && !unpark)
    throw new UsageError('Give --global with a number or none, or --unpark')
  const settings: LimitSettings = {}
  if (text !== undefined)
    settings.global = text === 'none' ? null : parseWholeNumber('--global', text, MOST)
  if (unpark) settings.parked = false
  const by = readBy(values)
  const product = await source.open(terminal)
  const isJob = product.jobs.some((job) => job.name === name)
  const outcome = await withClient(product, (client) =>
    client.limits.set(isJob ? { job: { name } } : { limit: { name } }, settings, by),
  )
  if (outcome === 'notFound') throw new ForeseenError(`No worker has registered a limit ${name}`)
  if (values.json) return print(terminal, { name, outcome })
  const { global } = settings
  const now = told(
    global !== undefined && (global === null ? 'the limit in the code' : `${global} at once`),
    unpark && 'not waiting for the service',
  )
  return print(terminal, [`${name}: ${outcome === 'set' ? '' : 'already '}${now.join(', ')}.`])
}

async function listKeys(name: string, { values, terminal, source }: Call<KeyValues>) {
  const limit = parseWholeNumber('--limit', values.limit, { min: 1, max: 200, otherwise: 20 })
  const order = KEY_SORTS.find((one) => one === values.order)
  if (values.order !== undefined && order === undefined)
    throw new UsageError(`--order is one of ${KEY_SORTS.join(', ')}, not "${values.order}"`)
  const product = await source.open(terminal)
  const page = await withClient(product, (client) =>
    client.keys.list({ name }, { limit, order, key: values.key }),
  )
  if (values.json) return print(terminal, page)
  if (page.keys.length === 0) {
    refuseUnknownJob(name, product)
    return print(terminal, ['No work has a key.'])
  }
  const layout = standardLayout(terminal.stdout)
  const lines = layOutRows(
    page.keys.map((key) => ({ cells: describeKey(key, page) })),
    layout,
  )
  if (page.total > page.keys.length || page.isCut)
    lines.push(
      '',
      layout.paint(
        'dim',
        `${page.keys.length} of ${page.total} keys${page.isCut ? `, of the first ${page.counted} pieces` : ''}`,
      ),
    )
  return print(terminal, lines)
}

/** Its share of the starts. */
function shareOf(started: number, { startedLastHour, areStartsCut }: KeyPage): string {
  const percent = Math.floor((100 * started) / startedLastHour)
  const of = areStartsCut ? `the last ${startedLastHour} starts` : 'the last hour'
  return `${percent === 0 && started > 0 ? '< 1' : percent} % of ${of}`
}

function describeKey(of: ListedKey, page: KeyPage): string[] {
  const { key, waiting, running, startedLastHour, deadLetters, oldestAt, perKey, paused } = of
  const notes = told(
    page.startedLastHour !== 0 && shareOf(startedLastHour, page),
    oldestAt !== null && `oldest ${describeInstant(oldestAt)}`,
    deadLetters !== 0 && `${deadLetters} dead letters`,
    perKey !== null && `${perKey} at once`,
    paused !== null &&
      `paused by ${paused.by}${paused.until === null ? '' : ` until ${describeInstant(paused.until)}`}${because(paused.reason)}`,
    of.parkedUntil !== null && `waiting (429) until ${describeInstant(of.parkedUntil)}`,
  )
  return [
    key === '' ? '(none)' : onOneLine(key),
    `${waiting} wait`,
    `${running} run`,
    onOneLine(notes.join(', ')),
  ]
}

const MOST = { min: 1, max: 1_000_000, otherwise: 1 }

async function setKey(name: string, key: string, { values, terminal, source }: Call<KeyValues>) {
  const settings = readSettings(values)
  const by = readBy(values)
  const product = await source.open(terminal)
  const set = (client: JobsClient) => client.keys.set({ name }, key, settings, by)
  const outcome = await withClient(product, set)
  if (outcome === 'noKeys') {
    refuseUnknownJob(name, product)
    throw new ForeseenError(`No worker has registered keys of ${name}`)
  }
  if (values.json) return print(terminal, { name, key, outcome })
  const said = outcome === 'set' ? 'set' : 'unchanged'
  return print(terminal, [`Key ${onOneLine(key)} of ${name}: ${said}.`])
}

function readSettings(values: KeyValues): KeySettings {
  const { 'per-key': perKey, pause = false, until, resume = false } = values
  const settings: KeySettings = {}
  if (perKey !== undefined)
    settings.perKey = perKey === 'none' ? null : parseWholeNumber('--per-key', perKey, MOST)
  if (
    [pause || undefined, until, resume || undefined].filter((one) => one !== undefined).length > 1
  )
    throw new UsageError('Give one of --pause, --until and --resume')
  if (pause) settings.paused = true
  if (resume) settings.paused = false
  if (until !== undefined) settings.paused = parseDate('--until', until)
  if (values.unpark) settings.parked = false
  if (Object.keys(settings).length > 0) return settings
  throw new UsageError('Give one of --per-key, --pause, --until, --resume and --unpark')
}

function readBy({ reason }: Pick<KeyValues, 'reason'>) {
  return { reason: requireReason(reason), actor: currentUser() }
}
