import { styleText } from 'node:util'

export type Paint = (
  style: 'bold' | 'cyan' | 'dim' | 'green' | 'underline' | 'yellow',
  text: string,
) => string

/** Makes a function that styles text for a stream, if that is a terminal with colours and NO_COLOR is not set. */
export function createPaint(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream })
}
