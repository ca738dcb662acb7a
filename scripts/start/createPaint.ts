import { styleText } from 'node:util'

export type Paint = (
  style: 'bold' | 'cyan' | 'dim' | 'green' | 'underline' | 'yellow',
  text: string,
) => string

/** Styles text for a stream: on a terminal that can, and unless NO_COLOR says otherwise. */
export function createPaint(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream })
}
