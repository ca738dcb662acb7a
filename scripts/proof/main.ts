// Does what the request for this step wants proved, on a stack of its own, and writes down what came of it. With the word
// `pictures` it makes those of the console alone.
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCommit, tellCommit } from '@roundsman/testing/readCommit'
import { createDatabaseClient } from '@roundsman/db'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { waitFor } from '@roundsman/testing'
import { DEMO_PASSWORD } from '../seed/seedDemoData.ts'
import { openStack, type Stack } from './openStack.ts'
import { createReport, type Report } from './createReport.ts'
import { photographConsole, type Photograph } from './photographConsole.ts'
import { drawPage } from './pictures.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const REPORT = 'reports/step10-proof.md'
const INVOICE_PICTURE = 'invoice.png'
const PICTURES = 'pictures'
const INVOICE = {
  customer: {
    name: 'Grünwald & Söhne GmbH',
    address: ['Example Street 12', '10115 Berlin', 'Germany'],
    taxId: 'DE000000000',
  },
  currency: 'EUR',
  locale: 'de-DE',
  lines: [
    invoiceLine('Beratung zur Einführung, je Stunde', '7.5', 9_500),
    invoiceLine(
      'Übersetzung der Oberfläche ins Arabische (العربية) und Japanische (日本語)',
      '1',
      128_000,
    ),
    invoiceLine('Nachlass für Stammkunden', '1', -10_000),
  ],
  notes: 'Vielen Dank für Ihren Auftrag.',
}
const SCHEDULE = { CLEANUP_PREVIEW_SESSIONS_CRON: '*/5 * * * * *' }

process.exit(await main(process.argv.slice(2)))

function invoiceLine(description: string, quantity: string, unitPriceMinor: number) {
  return { description, quantity, unitPriceMinor, taxRateBasisPoints: 1_900 }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    if (args.join() !== PICTURES) {
      process.stderr.write(`Usage: pnpm proof [${PICTURES}]\n`)
      return 2
    }
    const pictures = await takePictures()
    process.stdout.write(`${pictures.length} pictures in reports/${PICTURES}\n`)
    return 0
  }
  const startedAt = new Date()
  const changes = {
    status: git('status', '--short'),
    files: git('ls-files'),
    commit: await readCommit(WORKSPACE_ROOT),
  }
  let stack: Stack | undefined
  const secrets: string[] = []
  const report = createReport((text) =>
    secrets
      .reduce((redacted, secret) => redacted.replaceAll(secret, '…'), text)
      .replaceAll(stack?.dataDir ?? '\0', '$DATA_DIR')
      .replaceAll(WORKSPACE_ROOT, '.'),
  )
  try {
    await report.section('The stack starts', async () => {
      stack = await openStack(SCHEDULE)
      report.add({ command: 'npx -y pnpm@12 start', output: startOutput(stack) })
      const box = startOutput(stack)
      report.expect('start says that jobs are enabled', /Jobs +enabled/.test(box), box)
    })
    if (stack) await prove(stack, report, secrets)
  } finally {
    const exitCode = await stack?.close()
    await report.section('The stack stops', async () => {
      report.expect('SIGTERM ends it with exit code 0', exitCode === 0, exitCode)
    })
  }
  await report.section('What the console looks like', async () => {
    const pictures = await takePictures()
    report.add({
      text: `Each of its screens after a start on an empty folder, which brings jobs of a demo with a week of what they did; empty,
of one without these:\n\n${listPictures(pictures)}`,
    })
  })
  await report.section('What changed', async () => {
    report.add({ command: 'git status --short', output: changes.status || '(clean)' })
    report.add({ command: 'git ls-files', output: changes.files })
  })
  const heading = renderHeading(startedAt, changes.commit, report.failures())
  await writeFile(join(WORKSPACE_ROOT, REPORT), report.render(heading))
  process.stdout.write(`\nWritten to ${REPORT}\n`)
  for (const failure of report.failures()) process.stderr.write(`FAILED: ${failure}\n`)
  return report.failures().length === 0 ? 0 : 1
}

async function prove(stack: Stack, report: Report, secrets: string[]): Promise<void> {
  const call = createCaller(stack, report)
  const database = await acquireEmbeddedPostgres({ dataDir: stack.dataDir })
  const prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'proof',
    onPoolError: () => undefined,
  })
  const tokens = { owner: '', admin: '', staff: '' }
  try {
    await report.section('Log-in', async () => {
      for (const role of ['owner', 'admin', 'staff'] as const) {
        const credentials = { email: `${role}@example.com`, password: DEMO_PASSWORD }
        const { status, body } = await call('POST', '/api/auth/login', {
          json: credentials,
          show: false,
        })
        tokens[role] = String(body['token'])
        secrets.push(tokens[role])
        report.expect(`${role} logs in`, status === 200, status)
      }
    })

    await report.section('The scheduler runs jobs', async () => {
      const finished = await waitFor(() =>
        stack.lines.find(
          (line) => line.includes('job run finished') && line.includes('cleanupPreviewSessions'),
        ),
      )
      const { runId } = JSON.parse(finished.slice(finished.indexOf('{'))) as { runId: string }
      const lines = stack.lines.filter(
        (line) => line.includes('Jobs scheduler enabled') || line.includes(runId),
      )
      report.add({
        text: `Log lines of the worker, with ${describeSchedule()}:`,
        output: lines.map((line) => line.slice(line.indexOf('{'))).join('\n'),
      })
      report.expect(
        '`Jobs scheduler enabled` is logged',
        lines.some((line) => line.includes('Jobs scheduler enabled')),
        lines,
      )
      report.expect(
        'start and end of a run are logged',
        lines.filter((line) => line.includes('job run')).length === 2,
        lines,
      )
    })

    await report.section('Preview clean-up', async () => {
      const created = await call('POST', '/api/preview-sessions', {
        token: tokens.staff,
        json: { label: 'spring catalogue', ttlSeconds: 2 },
      })
      secrets.push(String(created.body['token']))
      const path = `/api/public/preview/${String(created.body['token'])}`
      const valid = await call('GET', path)
      report.expect(
        'a fresh preview is valid',
        valid.status === 200 && valid.body['valid'] === true,
        valid,
      )

      const revoked = await call('POST', '/api/preview-sessions', {
        token: tokens.staff,
        json: { label: 'withdrawn', ttlSeconds: 3_600 },
        show: false,
      })
      secrets.push(String(revoked.body['token']))
      await call('POST', `/api/preview-sessions/${String(revoked.body['id'])}/revoke`, {
        token: tokens.staff,
      })
      await call('POST', '/api/preview-sessions', {
        token: tokens.staff,
        json: { label: 'imported, past its time', expiresAt: '2020-01-01T00:00:00Z' },
      }).then(({ body }) => secrets.push(String(body['token'])))

      const ids = [created.body['id'], revoked.body['id']] as string[]
      await waitFor(async () => {
        const rows = await prisma.previewSession.findMany({ where: { id: { in: ids } } })
        return rows.every(({ status }) => status === 'expired')
      })
      const cleaned = await runsThatCleaned(prisma)
      report.add({
        text: 'A tick later, the runs that cleaned:',
        output: JSON.stringify(cleaned, null, 2),
      })
      const rows = await prisma.previewSession.findMany({
        where: { id: { in: ids } },
        select: { label: true, status: true, revoked: true },
      })
      report.add({ text: 'The rows in the database:', output: JSON.stringify(rows, null, 2) })
      const rejected = await call('GET', path)
      report.expect(
        'the validate endpoint rejects it now',
        rejected.status === 410 && rejected.body['reason'] === 'expired',
        rejected,
      )

      await call('POST', '/api/preview-sessions', {
        token: tokens.staff,
        json: { label: 'for the manual run', expiresAt: '2020-01-01T00:00:00Z' },
        show: false,
      }).then(({ body }) => secrets.push(String(body['token'])))
      runOnce(stack, report, ['cleanupPreviewSessions'])
      const again = runOnce(stack, report, ['cleanupPreviewSessions', '--json'])
      const details = (JSON.parse(again.stdout) as { details: { cleaned: number } }).details
      report.expect(
        'a second run cleans nothing and is recorded all the same',
        details.cleaned === 0,
        details,
      )
    })

    await report.section('i18n cache clean-up', async () => {
      const createdAt = new Date(Date.now() - 31 * 86_400_000)
      const entry = { locale: 'de', key: 'proof.old', value: 'alt', createdAt }
      await prisma.i18nCacheEntry.create({ data: entry })
      report.add({ text: 'An entry that is 31 days old:', output: JSON.stringify(entry, null, 2) })
      const before = await call('GET', '/api/i18n/de/proof.old')
      report.expect(
        'it is served from the cache',
        before.status === 200 && before.cache === 'hit',
        before,
      )
      const { stdout } = runOnce(stack, report, ['cleanupI18nCache', '--json'])
      const { details } = JSON.parse(stdout) as { details: { cleaned: number } }
      report.expect('the run counts it', details.cleaned >= 1, details)
      const count = await prisma.i18nCacheEntry.count({ where: { key: 'proof.old' } })
      report.expect('the entry is gone', count === 0, count)
      const after = await call('GET', '/api/i18n/de/proof.old')
      report.expect('it is not served any more', after.status === 404, after)
    })

    await report.section('An invoice, rendered and mailed', async () => {
      const created = await call('POST', '/api/invoices', { token: tokens.staff, json: INVOICE })
      report.expect('staff issues an invoice', created.status === 201, created)
      const path = `/api/invoices/${String(created.body['id'])}`
      const asked = await call('POST', `${path}/pdf`, { token: tokens.staff })
      report.expect('its PDF is asked for, and not waited for', asked.status === 202, asked)
      const mailed = await call('POST', `${path}/email`, {
        token: tokens.staff,
        json: { to: 'customer@example.com' },
      })
      report.expect('it is to be mailed, and waits for the PDF', mailed.status === 202, mailed)
      const message = `/api/emails/${String(mailed.body['messageId'])}`
      await waitFor(async () => {
        const { body } = await call('GET', message, { token: tokens.staff, show: false })
        return body['status'] === 'sent'
      })
      const sent = await call('GET', message, { token: tokens.staff })
      report.expect('the mail server has taken it', sent.body['status'] === 'sent', sent)
      const response = await fetch(`${stack.baseUrl}${path}/pdf`, {
        headers: { authorization: `Bearer ${tokens.staff}` },
      })
      const pdf = new Uint8Array(await response.arrayBuffer())
      report.expect(
        'the PDF is there',
        response.headers.get('content-type') === 'application/pdf',
        response.status,
      )
      await writeFile(join(WORKSPACE_ROOT, 'reports', INVOICE_PICTURE), await drawPage(pdf, 0))
      report.add({ text: `Its first page:\n\n![Invoice](${INVOICE_PICTURE})` })
      const runs = await call('GET', '/api/jobs/runs?trigger=queue&limit=2', {
        token: tokens.admin,
      })
      report.add({ text: 'What is on record of it holds no name and no amount.' })
      report.expect(
        'both runs succeeded',
        (runs.body['runs'] as { status: string }[]).every(({ status }) => status === 'success'),
        runs,
      )
    })

    await report.section('GET /api/jobs/runs', async () => {
      const admin = await call('GET', '/api/jobs/runs?limit=3', { token: tokens.admin })
      const runs = admin.body['runs'] as unknown[]
      report.expect('an admin gets rows', admin.status === 200 && runs.length === 3, admin.status)
      const staff = await call('GET', '/api/jobs/runs?limit=3', { token: tokens.staff })
      report.expect('staff gets 403', staff.status === 403, staff)
      const nobody = await call('GET', '/api/jobs/runs?limit=3')
      report.expect('nobody gets 401', nobody.status === 401, nobody)
    })

    await report.section('The console', async () => {
      const staff = await call('POST', '/api/console/session', {
        json: { email: 'staff@example.com', password: DEMO_PASSWORD },
      })
      report.expect('staff is refused', staff.status === 403, staff)
    })

    await report.section('scripts/verify.sh', async () => {
      const { status, stdout } = run('bash', ['scripts/verify.sh'], {
        ...stack.env,
        BASE_URL: stack.baseUrl,
      })
      report.add({ command: 'bash scripts/verify.sh', output: stdout })
      report.expect('it passes', status === 0, status)
    })
  } finally {
    await prisma.$disconnect()
    await database.release()
  }
}

interface CallOptions {
  token?: string
  json?: unknown
  /** Whether the report shows it. Default true. */
  show?: boolean
}

interface Answer {
  status: number
  /** The x-cache header. */
  cache: string | null
  body: Record<string, unknown>
}

/** Calls the API and shows the call as the curl command that does the same. */
function createCaller(stack: Stack, report: Report) {
  return async (method: string, path: string, options: CallOptions = {}): Promise<Answer> => {
    const { token, json, show = true } = options
    const response = await fetch(`${stack.baseUrl}${path}`, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
    })
    const body = (await response.json()) as Record<string, unknown>
    const cache = response.headers.get('x-cache')
    const command = [
      `curl -i${method === 'GET' ? '' : ` -X ${method}`}`,
      token && `-H 'Authorization: Bearer ${token}'`,
      json !== undefined && `--json '${JSON.stringify(json)}'`,
      `$BASE_URL${path}`,
    ].filter(Boolean)
    const head = `HTTP ${response.status}${cache ? `\nx-cache: ${cache}` : ''}`
    if (show)
      report.add({
        command: command.join(' '),
        output: `${head}\n${JSON.stringify(body, null, 2)}`,
      })
    return { status: response.status, cache, body }
  }
}

function runOnce(stack: Stack, report: Report, args: string[]) {
  // What `pnpm worker:once` runs, without pnpm, which need not be on this process's PATH.
  const call = ['scripts/source.ts', 'apps/worker/src/cli.ts', 'once', ...args]
  const result = run(process.execPath, call, { ...stack.env, LOG_LEVEL: 'warn' })
  const command = `pnpm worker:once ${args.join(' ')}`
  report.add({
    command: `${command}; echo "exit code $?"`,
    output: `${result.stdout}exit code ${result.status}`,
  })
  report.expect(`\`${command}\` exits with 0`, result.status === 0, result.stderr)
  return result
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: WORKSPACE_ROOT,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  })
  return { status, stdout, stderr }
}

async function runsThatCleaned(prisma: ReturnType<typeof createDatabaseClient>) {
  const runs = await prisma.jobRun.findMany({
    where: { name: 'cleanupPreviewSessions', trigger: 'schedule' },
    orderBy: { startedAt: 'desc' },
    take: 20,
    select: {
      name: true,
      status: true,
      trigger: true,
      scheduledFor: true,
      startedAt: true,
      endedAt: true,
      details: true,
    },
  })
  return runs.filter(({ details }) => ((details as { cleaned?: number } | null)?.cleaned ?? 0) > 0)
}

/** A line for each screen, with a link to each view of it. */
function listPictures(pictures: readonly Photograph[]): string {
  return [...Map.groupBy(pictures, ({ title }) => title)]
    .map(([title, views]) => {
      const links = views.map(({ view, file }) => `[${view}](${PICTURES}/${file})`)
      return `- ${title}: ${links.join(', ')}`
    })
    .join('\n')
}

function startOutput(stack: Stack): string {
  return stack.lines.slice(0, stack.lines.findIndex((line) => line.startsWith('╰')) + 1).join('\n')
}

function describeSchedule(): string {
  return Object.entries(SCHEDULE)
    .map(([name, value]) => `\`${name}='${value}'\``)
    .join(', ')
}

/** Takes the pictures anew, and writes beside them what they are of. */
async function takePictures(): Promise<Photograph[]> {
  const folder = join(WORKSPACE_ROOT, 'reports', PICTURES)
  const commit = tellCommit(await readCommit(WORKSPACE_ROOT))
  const pictures = await photographConsole(folder)
  await writeFile(
    join(folder, 'README.md'),
    `# Pictures of the console\n\nTaken by \`pnpm proof\` at ${commit}.\n`,
  )
  return pictures
}

function git(...args: string[]): string {
  return spawnSync('git', args, { cwd: WORKSPACE_ROOT, encoding: 'utf8' }).stdout
}

function renderHeading(startedAt: Date, commit: string | null, failures: string[]): string {
  const verdict =
    failures.length === 0
      ? 'Everything held.'
      : `**${failures.length} of the steps failed**: ${failures.join('; ')}.`
  return `# Step 10: proof

Written by \`pnpm proof\`, which starts a stack of its own on an empty data folder and does each of these
for real. Tokens are shortened to \`…\`; \`$BASE_URL\` is where the API listened. Measured at ${tellCommit(commit)}.

${verdict}

| | |
|---|---|
| Started | ${startedAt.toISOString()} |
| Node | ${process.version} |
`
}
