/** A fenced block of a page. */
export interface Step {
  /** The line at which its text begins, for messages. */
  line: number
  /** The headings above it, the outermost first. */
  headings: readonly string[]
  /** `sh`, `diff`, or the language of a file. */
  language: string
  /** What stands after the language: a file's path, or `background`. */
  note: string
  text: string
}

/** Reads the fenced blocks of a page, in order. */
export function readSteps(markdown: string): Step[] {
  const steps: Step[] = []
  const headings: string[] = []
  let open: Step | null = null
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(\S*) ?(.*)$/.exec(line)
    if (fence === null) {
      const [, marks = '', title = ''] = (!open && /^(#+) (.+)$/.exec(line)) || []
      if (open) open.text += `${line}\n`
      else if (marks !== '') headings.splice(marks.length - 1, Infinity, title)
    } else if (open) {
      steps.push(open)
      open = null
    } else {
      const [, language = '', note = ''] = fence
      open = { line: index + 2, headings: [...headings], language, note, text: '' }
    }
  }
  if (open) throw new Error(`The block that begins at line ${open.line} does not end`)
  return steps
}
