import { formatNumber } from '../markdown.ts'
import type { Bar, Plot } from './scenario.ts'
import type { Summary } from '../statistics.ts'

const WIDTH = 760
const LABEL_WIDTH = 290
const VALUE_WIDTH = 120
const ROW = 34
const TOP = 44

/** Horizontal bars with the spread of their rounds, as SVG in colours that show on light and on dark. */
export function drawPlot({ title, unit, bars, limit }: Plot): string {
  const largest = Math.max(limit?.value ?? 0, ...bars.map(({ value }) => spreadOf(value).max))
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
  const x = (value: number) => round(LABEL_WIDTH + (largest > 0 ? (value / largest) * room : 0))
  const height = TOP + bars.length * ROW + (limit ? 26 : 8)
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" role="img" aria-label="${escape(title)}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" rx="6" fill="#ffffff"/>`,
    `<text x="12" y="26" font-size="15" font-weight="600" fill="#1f2328">${escape(title)}</text>`,
    ...bars.flatMap((bar, index) => drawBar(bar, TOP + index * ROW, unit, x)),
  ]
  if (limit) {
    const at = x(limit.value)
    const bottom = TOP + bars.length * ROW
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${TOP - 4}" y2="${bottom}" stroke="#cf222e" stroke-dasharray="4 3"/>`,
      `<text x="${at}" y="${bottom + 16}" text-anchor="middle" fill="#cf222e">${escape(limit.label)}</text>`,
    )
  }
  return `${[...parts, '</svg>'].join('\n')}\n`
}

function drawBar(
  { label, value, isOurs = false }: Bar,
  top: number,
  unit: string,
  x: (value: number) => number,
): string[] {
  const middle = top + ROW / 2 - 3
  const { median, min, max } = spreadOf(value)
  const [from, to] = [x(min), x(max)]
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end" fill="#1f2328">${escape(label)}</text>`,
    `<rect x="${LABEL_WIDTH}" y="${top + 3}" width="${round(x(median) - LABEL_WIDTH)}" height="${ROW - 12}" rx="2" fill="${isOurs ? '#0969da' : '#8c959f'}"/>`,
    ...(typeof value === 'number'
      ? []
      : [
          `<path d="M${from} ${middle - 5}v10M${to} ${middle - 5}v10M${from} ${middle}H${to}" stroke="#1f2328" fill="none"/>`,
        ]),
    `<text x="${round(to + 8)}" y="${middle + 4}" fill="#1f2328">${escape(`${formatNumber(median)} ${unit}`)}</text>`,
  ]
}

function spreadOf(value: Bar['value']): Summary {
  return typeof value === 'number' ? { median: value, min: value, max: value } : value
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
