import { Writable } from 'node:stream'

/** Stands for the standard output and standard error of a command that runs in this process. */
export function collectOutput() {
  const [stdout, stderr] = [collect(), collect()]
  return {
    stdout: stdout.stream,
    stderr: stderr.stream,
    texts: () => ({ stdout: stdout.text(), stderr: stderr.text() }),
    lines: () => ({ stdout: linesOf(stdout.text()), stderr: linesOf(stderr.text()) }),
  }
}

function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1)
}

function collect() {
  let text = ''
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _, done) {
      text += chunk
      done()
    },
  })
  return { stream, text: () => text }
}
