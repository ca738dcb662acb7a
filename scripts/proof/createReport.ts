/** A block of the report: what was done, as a command if there is one, and what came of it. */
export interface Entry {
  /** A sentence for the reader. */
  text?: string
  /** Shown after a prompt. */
  command?: string
  output?: string
}

export interface Report {
  section(title: string, work: () => Promise<void>): Promise<void>
  add(entry: Entry): void
  /** Records what was expected and whether it came. One that did not makes the whole report a failure. */
  expect(what: string, holds: boolean, got: unknown): void
  failures(): string[]
  render(heading: string): string
}

/** Collects a proof section by section. A section that throws is a failure, and the next one follows. */
export function createReport(redact: (text: string) => string): Report {
  const parts: string[] = []
  const failures: string[] = []

  function expect(what: string, holds: boolean, got: unknown): void {
    parts.push(
      `- ${holds ? 'PASS' : '**FAIL**'} ${what}${holds ? '' : `, but got ${JSON.stringify(got)}`}\n`,
    )
    if (!holds) failures.push(what)
  }

  return {
    async section(title, work) {
      const startedAt = new Date()
      parts.push(`\n## ${title}\n\n`)
      process.stdout.write(`${title}…`)
      const before = failures.length
      try {
        await work()
      } catch (error) {
        expect(`${title} could be carried out`, false, (error as Error).message)
      }
      const seconds = ((Date.now() - startedAt.getTime()) / 1_000).toFixed(1)
      parts.push(`\n_${startedAt.toISOString()}, ${seconds} s_\n`)
      process.stdout.write(` ${failures.length === before ? 'ok' : 'FAILED'} ${seconds} s\n`)
    },
    add({ text, command, output }) {
      if (parts.at(-1)?.startsWith('- ')) parts.push('\n')
      if (text) parts.push(`${text}\n\n`)
      const lines = [command && `$ ${command}`, output?.trimEnd()].filter(Boolean)
      if (lines.length > 0) parts.push(`\`\`\`console\n${lines.join('\n')}\n\`\`\`\n\n`)
    },
    expect,
    failures: () => failures,
    render: (heading) => redact(`${heading}${parts.join('')}`),
  }
}
