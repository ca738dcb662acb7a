/** One fenced block of a page. */
export interface Step {
  /** Where it begins, for messages. */
  line: number
  /** `sh`, `diff`, or the language of a file. */
  language: string
  /** What stands behind the language: a file's path, or `background`. */
  note: string
  text: string
}

/** The fenced blocks of a page, in order. */
export function readSteps(markdown: string): Step[] {
  const steps: Step[] = []
  let open: Step | null = null
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(\S*) ?(.*)$/.exec(line)
    if (fence === null) {
      if (open) open.text += `${line}\n`
    } else if (open) {
      steps.push(open)
      open = null
    } else {
      open = { line: index + 2, language: fence[1] ?? '', note: fence[2] ?? '', text: '' }
    }
  }
  if (open) throw new Error(`The block that begins at line ${open.line} does not end`)
  return steps
}
