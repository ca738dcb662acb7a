// Does what the request for this step wants proved, on a stack of its own, and writes down what came of it.
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCommit, tellCommit } from '@roundsman/testing/readCommit'
import { createDatabaseClient } from '@roundsman/db'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { waitFor } from '@roundsman/testing'
import { DEMO_PASSWORD } from '../seed/seedDemoData.ts'
import { openStack, type Stack } from './openStack.ts'
import { takePictures } from './takePictures.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const REPORT = 'reports/step10-proof.md'
const PICTURES = 'pictures'
const SCHEDULE = { CLEANUP_PREVIEW_SESSIONS_CRON: '*/5 * * * * *' }

process.exit(await main())

async function main(): Promise<number> {
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
    const files = await takePictures(join(WORKSPACE_ROOT, 'reports', PICTURES))
    const links = files.map((file) => `[${file}](${PICTURES}/${file})`)
    report.add({
      text: `With the jobs of the demo and a week of what they did: ${links.join(', ')}`,
    })
  })
  await report.section('What changed', async () => {
    report.add({ command: 'git status --short', output: changes.status || '(clean)' })
    report.add({ command: 'git ls-files', output: changes.files })
  })
  const heading = renderHeading(startedAt, changes.commit, report.failures)
  await writeFile(join(WORKSPACE_ROOT, REPORT), report.render(heading))
  process.stdout.write(`\nWritten to ${REPORT}\n`)
  for (const failure of report.failures) process.stderr.write(`FAILED: ${failure}\n`)
  return report.failures.length === 0 ? 0 : 1
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
        text: `Log lines of the worker, with \`CLEANUP_PREVIEW_SESSIONS_CRON='${SCHEDULE.CLEANUP_PREVIEW_SESSIONS_CRON}'\`:`,
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
      const revoke = `/api/preview-sessions/${String(revoked.body['id'])}/revoke`
      await call('POST', revoke, { token: tokens.staff })

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
      const rejected = await call('GET', path)
      report.expect(
        'the validate endpoint rejects it now',
        rejected.status === 410 && rejected.body['reason'] === 'expired',
        rejected,
      )

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

    await report.section('GET /api/jobs/runs', async () => {
      const admin = await call('GET', '/api/jobs/runs?limit=3', { token: tokens.admin })
      const runs = admin.body['runs'] as unknown[]
      report.expect('an admin gets rows', admin.status === 200 && runs.length === 3, admin.status)
      const staff = await call('GET', '/api/jobs/runs?limit=3', { token: tokens.staff })
      report.expect('staff gets 403', staff.status === 403, staff)
      const nobody = await call('GET', '/api/jobs/runs?limit=3')
      report.expect('nobody gets 401', nobody.status === 401, nobody)
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
    omit: { batchMarks: true, workId: true, workerId: true, createdAt: true },
  })
  return runs.filter(({ details }) => ((details as { cleaned?: number } | null)?.cleaned ?? 0) > 0)
}

function startOutput(stack: Stack): string {
  return stack.lines.slice(0, stack.lines.findIndex((line) => line.startsWith('╰')) + 1).join('\n')
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

interface Report {
  section(title: string, work: () => Promise<void>): Promise<void>
  /** Adds a sentence, or what a command printed. */
  add(entry: { text?: string; command?: string; output?: string }): void
  /** Records what was expected and whether it came. One that did not makes the whole report a failure. */
  expect(what: string, holds: boolean, got: unknown): void
  failures: string[]
  render(heading: string): string
}

/** Collects a proof section by section. A section that throws is a failure, and the next one follows. */
function createReport(redact: (text: string) => string): Report {
  const parts: string[] = []
  const failures: string[] = []
  const expect = (what: string, holds: boolean, got: unknown) => {
    const instead = holds ? '' : `, but got ${JSON.stringify(got)}`
    parts.push(`- ${holds ? 'PASS' : '**FAIL**'} ${what}${instead}\n`)
    if (!holds) failures.push(what)
  }
  return {
    async section(title, work) {
      const startedAt = new Date()
      parts.push(`\n## ${title}\n\n`)
      process.stdout.write(`${title}…\n`)
      try {
        await work()
      } catch (error) {
        expect(`${title} could be carried out`, false, (error as Error).message)
      }
      const seconds = ((Date.now() - startedAt.getTime()) / 1_000).toFixed(1)
      parts.push(`\n_${startedAt.toISOString()}, ${seconds} s_\n`)
    },
    add({ text, command, output }) {
      if (parts.at(-1)?.startsWith('- ')) parts.push('\n')
      if (text) parts.push(`${text}\n\n`)
      const lines = [command && `$ ${command}`, output?.trimEnd()].filter(Boolean)
      if (lines.length > 0) parts.push(`\`\`\`console\n${lines.join('\n')}\n\`\`\`\n\n`)
    },
    expect,
    failures,
    render: (heading) => redact(`${heading}${parts.join('')}`),
  }
}
