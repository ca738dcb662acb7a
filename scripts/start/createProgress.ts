import { createPaint } from './createPaint.ts'

export interface Progress {
  /** Prints the title, does the work, and prints how long it took. */
  step<Result>(
    title: string,
    work: (note: (message: string) => void) => Promise<Result>,
  ): Promise<Result>
}

/** Prints steps as `Building… 1.2 s`, with notes of the work on lines of their own. */
export function createProgress(stream: NodeJS.WriteStream): Progress {
  const paint = createPaint(stream)
  return {
    async step(title, work) {
      const startedAt = performance.now()
      let isLineOpen = true
      const note = (message: string) => {
        stream.write(`${isLineOpen ? '\n' : ''}  ${message}\n`)
        isLineOpen = false
      }
      stream.write(`${title}…`)
      try {
        const result = await work(note)
        const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
        stream.write(`${isLineOpen ? '' : ' '}${paint('dim', ` ${seconds} s`)}\n`)
        return result
      } catch (error) {
        if (isLineOpen) stream.write('\n')
        throw error
      }
    },
  }
}
