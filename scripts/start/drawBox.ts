import { stripVTControlCharacters } from 'node:util'
import type { Paint } from './createPaint.ts'

/** A frame around lines that may be styled. No wider than its content needs. */
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
