import type { ConsoleAttention, ConsoleOverview } from '@roundsman/admin/contract'

export interface OverviewSentence {
  tone: 'good' | 'warn' | 'bad'
  text: string
}

/** The sentence that people should read first. The worst problem leads; the others are counted. */
export function describeOverview({
  attention,
  jobs,
  backlog,
}: Pick<ConsoleOverview, 'attention' | 'jobs' | 'backlog'>): OverviewSentence {
  const [first, ...others] = attention.filter(({ stage }) => stage !== 'over')
  if (first === undefined) {
    const paused = backlog.filter(({ state }) => state === 'paused')
    const isWell = paused.length + attention.length === 0
    return { tone: isWell ? 'good' : 'warn', text: whenAllIsWell(jobs) + sayPaused(paused) }
  }
  // Where in the code is said in the list.
  const text = first.text
    .replace(/\.( |$).*/s, '')
    .replace(/ \((?:\S+ )?at (?:[^()]|\([^()]*\))*\)/, '')
  const more = others.length === 0 ? '' : `, and ${otherThings(others.length)}`
  return { tone: isBad(first) ? 'bad' : 'warn', text: text + more }
}

/** Whether nothing can run, or work is being lost. */
export function isBad({ stage }: Pick<ConsoleAttention, 'stage'>): boolean {
  return stage === 'stopped' || stage === 'losing'
}

function whenAllIsWell({ total, paused }: ConsoleOverview['jobs']): string {
  if (total === 0) return 'There are no jobs yet'
  if (paused === 0) return total === 1 ? 'The one job is on time' : `All ${total} jobs on time`
  return `${total - paused} of ${total} jobs on time, ${paused} paused`
}

/** Work that waits in paused queues is not on time, though somebody wants it so. */
function sayPaused([first, ...others]: ConsoleOverview['backlog']): string {
  if (first === undefined) return ''
  if (others.length > 0) return `, work waits in ${others.length + 1} paused queues`
  return `, ${first.name} is paused with ${dueCount(first)} waiting`
}

function otherThings(count: number): string {
  return count === 1 ? 'one other thing needs you' : `${count} other things need you`
}

/** How much work is due, with `over` when the server counts no further. */
export function dueCount({
  due,
  isCut,
}: Pick<ConsoleOverview['backlog'][number], 'due' | 'isCut'>): string {
  return `${isCut ? 'over ' : ''}${due.toLocaleString('en')}`
}

/** Says `12 a minute start`, in a unit in which it is at least one. */
export function describeRate({
  perSecond,
}: Pick<ConsoleOverview['backlog'][number], 'perSecond'>): string {
  if (perSecond === 0) return 'none starts'
  const [factor, unit] =
    perSecond >= 1 ? [1, 'a second'] : perSecond * 60 >= 1 ? [60, 'a minute'] : [3_600, 'an hour']
  const rate = (perSecond * factor).toLocaleString('en', { maximumSignificantDigits: 2 })
  return `${rate} ${unit} start`
}
