// Measures side by side, in one run, on one PostgreSQL: `pnpm bench [name]…`.
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { measureRequests, type Latency, type RequestFigures } from './measureRequests.ts'

const REPORT = join(import.meta.dirname, '../../../reports/bench.md')

const BENCHES: Record<string, () => Promise<string>> = {
  requests: async () => renderRequests(await measureRequests()),
}

process.exit(await main(process.argv.slice(2)))

async function main(wanted: string[]): Promise<number> {
  const unknown = wanted.filter((name) => !Object.hasOwn(BENCHES, name))
  if (unknown.length > 0) {
    process.stderr.write(
      `There is no bench "${unknown.join(', ')}"; there are: ${Object.keys(BENCHES).join(', ')}\n`,
    )
    return 2
  }
  const sections: string[] = []
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    process.stdout.write(`${name}…\n`)
    const section = await bench()
    process.stdout.write(`${section}\n`)
    sections.push(section)
  }
  const [cpu] = cpus()
  await writeFile(
    REPORT,
    `# Measurements

Written by \`pnpm bench\` on ${new Date().toISOString().slice(0, 10)}: Node ${process.version}, ${cpus().length} × ${cpu?.model ?? 'unknown'},
embedded PostgreSQL 18 with its default durability. Each figure is the median of several rounds, in which what is compared
took turns.

${sections.join('\n')}`,
  )
  process.stdout.write('Written to reports/bench.md\n')
  return 0
}

function renderRequests(figures: RequestFigures): string {
  const { rounds, requests, waiting, idle, queued, rendering } = figures
  const row = (what: string, { p50, p99 }: Latency) =>
    `| ${what} | ${p50.toFixed(1)} ms | ${p99.toFixed(1)} ms | ${(p99 / idle.p99).toFixed(2)} |`
  return `## Asking for a PDF while many are waited for

\`POST /api/invoices/:id/pdf\`, ${requests} of them one after the other, ${rounds} rounds.

| | p50 | p99 | p99 to idle |
|---|---|---|---|
${row('nothing waits', idle)}
${row(`${waiting} PDFs wait`, queued)}
${row(`${waiting} PDFs wait, and a worker on the same machine renders them`, rendering)}
`
}
