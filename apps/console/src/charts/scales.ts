/** A place on an axis, from 0 at its beginning to 1 at its end. */
export interface AxisTick {
  at: number
  label: string
}

export interface Scale {
  place(value: number): number
  ticks: AxisTick[]
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The end of an axis from 0: a round number a little above all values. */
export function niceMax(values: readonly number[]): number {
  const max = values.reduce((most, value) => Math.max(most, value), 0)
  if (max <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(max))
  const steps = power === 1 ? [1, 2, 4, 6, 8] : [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8]
  return (steps.find((step) => step * power >= max) ?? 10) * power
}

/** A single failure among thousands has to be visible. */
const MIN_PART_PX = 3

/** How high the parts of a bar are. What makes the small ones visible is taken from the largest. */
export function partHeights(values: readonly number[], heightPx: number): number[] {
  const total = values.reduce((sum, value) => sum + value, 0)
  const heights = values.map((value) =>
    value <= 0 ? 0 : Math.max((value / total) * heightPx, MIN_PART_PX),
  )
  const excess = heights.reduce((sum, height) => sum + height, 0) - heightPx
  const largest = heights.indexOf(Math.max(...heights))
  return heights.map((height, at) =>
    at === largest ? Math.max(MIN_PART_PX, height - excess) : height,
  )
}

const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 7, 14, 28, 91].map((count) => count * DAY),
]

/** An axis from one instant to another, with round times on the clock of a zone. Default: the viewer's zone. */
export function timeScale(fromMs: number, toMs: number, most: number, timeZone?: string): Scale {
  const spanMs = Math.max(toMs - fromMs, 1)
  const step = TIME_STEPS.find((candidate) => spanMs / candidate <= most) ?? spanMs
  const offset = offsetOf(fromMs, timeZone)
  const ticks: AxisTick[] = []
  for (let ms = Math.ceil((fromMs + offset) / step) * step - offset; ms <= toMs; ms += step) {
    ticks.push({ at: (ms - fromMs) / spanMs, label: nameTick(ms, step, spanMs, timeZone) })
  }
  return { place: (ms) => clamp((ms - fromMs) / spanMs), ticks }
}

/** Names a time on an axis: a date at midnight or for steps of days, else a time, with seconds for short steps. */
function nameTick(ms: number, step: number, spanMs: number, timeZone?: string): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    hourCycle: 'h23',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    ...(timeZone !== undefined && { timeZone }),
  })
  const parts = Object.fromEntries(
    format.formatToParts(ms).map(({ type, value }) => [type, value]),
  ) as Record<'day' | 'month' | 'hour' | 'minute' | 'second', string>
  const { day, month, hour, minute, second } = parts
  const isMidnight = hour === '00' && minute === '00' && second === '00'
  if (step >= DAY || (isMidnight && spanMs > 12 * HOUR)) return `${day} ${month}`
  return step < MINUTE ? `${hour}:${minute}:${second}` : `${hour}:${minute}`
}

/** How far the clock of a zone is ahead of UTC at an instant. */
function offsetOf(ms: number, timeZone?: string): number {
  if (timeZone === undefined) return -new Date(ms).getTimezoneOffset() * MINUTE
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(ms)
  const read = (type: string) => Number(parts.find((part) => part.type === type)?.value)
  const wall = Date.UTC(
    read('year'),
    read('month') - 1,
    read('day'),
    read('hour'),
    read('minute'),
    read('second'),
  )
  return wall - Math.floor(ms / SECOND) * SECOND
}

/** Writes a number for an axis up to `max`, on which all labels have one form. */
export function formatCount(value: number, max: number): string {
  if (max >= 100_000 && value > 0) {
    return new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(
      value,
    )
  }
  return value.toLocaleString('en', { maximumFractionDigits: 2 })
}

function clamp(share: number): number {
  return Math.max(0, Math.min(1, share))
}

/** About as wide as a chart is on a phone, and beside a second one on a desktop, without its scale. */
const NARROW_PX = 250
const WIDE_PX = 430
const CHARACTER_PX = 6.3
const SPACE_PX = 10

/** A label on an axis across, at a share of its width. */
export interface AcrossLabel {
  at: number
  label: string
}

/** Where there is room for one: anywhere, in a wide chart alone (`isSpare`), or nowhere. */
export type Room = 'always' | 'isSpare' | 'never'

/** Which labels of an axis fit beside each other. Of those that do not, each second one goes, or more: what stays is even. */
export function roomForLabels(labels: readonly AcrossLabel[]): Room[] {
  const [narrow, wide] = [NARROW_PX, WIDE_PX].map((widthPx) => evenStep(labels, widthPx))
  return labels.map((_label, index) => {
    if (index % (wide ?? 1) !== 0) return 'never'
    return index % (narrow ?? 1) === 0 ? 'always' : 'isSpare'
  })
}

function evenStep(labels: readonly AcrossLabel[], widthPx: number): number {
  for (let step = 1; step < labels.length; step += 1) {
    const kept = labels.filter((_label, index) => index % step === 0)
    if (kept.every((label, index) => !touches(kept[index - 1], label, widthPx))) return step
  }
  return Math.max(labels.length, 1)
}

function touches(before: AcrossLabel | undefined, label: AcrossLabel, widthPx: number): boolean {
  if (before === undefined) return false
  return endOf(before, widthPx) + SPACE_PX > endOf(label, widthPx) - lengthOf(label)
}

const lengthOf = ({ label }: AcrossLabel) => label.length * CHARACTER_PX

function endOf(label: AcrossLabel, widthPx: number): number {
  const at = label.at * widthPx
  switch (anchorAt(label.at)) {
    case 'start':
      return at + lengthOf(label)
    case 'end':
      return at
    default:
      return at + lengthOf(label) / 2
  }
}

/** So that no label leaves the chart. */
export function anchorAt(place: number): 'start' | 'middle' | 'end' {
  if (place < 0.04) return 'start'
  return place > 0.96 ? 'end' : 'middle'
}

export function percent(place: number): string {
  return `${Math.round(place * 100_000) / 1_000}%`
}
