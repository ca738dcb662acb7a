import { randomUUID } from 'node:crypto'
import { defineJob, defineSignal, withEngineJobs } from '@roundsman/engine'
import { collectOutput, openForTests } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Product } from '../../src/command/product.ts'
import { exitCodeOf, type Command } from '../../src/command/runCommand.ts'
import { createQueueCommand } from '../../src/control/queueCommand.ts'
import { createSignalCommand } from '../../src/control/signalCommand.ts'
import { createKeysCommand, createLimitsCommand } from '../../src/control/limitsCommand.ts'
import { createWorkCommand } from '../../src/control/workCommand.ts'
import { createDeadLettersCommand } from '../../src/runs/deadLettersCommand.ts'
import { createRunsCommand } from '../../src/runs/runsCommand.ts'

const approved = defineSignal({ name: 'approved', payload: z.strictObject({ by: z.string() }) })
const dispatchEmail = defineJob({
  name: 'dispatchEmail',
  steps: { reserve: {}, charge: { effect: 'once' }, mail: { signal: approved } },
})
const jobs = withEngineJobs([
  dispatchEmail,
  ...['cleanupPreviewSessions', 'renderInvoicePdf'].map((name) => defineJob({ name })),
])
const ids = { clean: randomUUID(), mail: randomUUID(), removed: randomUUID(), letter: randomUUID() }
const FAILED_AT = '2026-05-01T11:00:00.250Z'

const database = openForTests(openTestDatabase)
beforeAll(async () => {
  const common = { workerId: 'w', trigger: 'queue' as const }
  await database.prisma.jobRun.createMany({
    data: [
      {
        ...common,
        id: ids.clean,
        name: 'cleanupPreviewSessions',
        trigger: 'schedule',
        status: 'success',
        startedAt: new Date('2026-05-01T10:00:00Z'),
        endedAt: new Date('2026-05-01T10:00:01.500Z'),
      },
      {
        ...common,
        id: ids.mail,
        name: dispatchEmail.name,
        attempt: 3,
        status: 'failed',
        errorCode: 'smtp_unavailable',
        details: {
          error: {
            code: 'smtp_unavailable',
            message: 'connect\nECONNREFUSED',
            meaning: 'It is\nclosed.',
            name: 'SmtpError',
            stack: 'at send (src/mail.ts:3:4)\nat other (src/mail.ts:1:2)',
            cause: { message: 'secret cause' },
          },
        },
        startedAt: new Date(FAILED_AT),
        endedAt: new Date('2026-05-01T11:00:01Z'),
      },
      {
        ...common,
        id: ids.removed,
        name: 'formerJob',
        status: 'success',
        startedAt: new Date('2026-04-01T10:00:00Z'),
        endedAt: new Date('2026-04-01T10:01:00Z'),
      },
    ],
  })
  await database.prisma.$executeRaw`
    update "JobRun" set "label" = 'Order 42', "logs" = '{"lines": [{"message": "secret line"}]}' where "id" = ${ids.mail}::uuid`
  await database.prisma.$executeRaw`
    insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "label", "payload", "failedAt", "errorCode", "errorMessage")
    values (${ids.letter}::uuid, ${dispatchEmail.name}, 3, 2, 'Order 42', '{}', ${FAILED_AT}::timestamptz, 'smtp_unavailable',
      'No answer')`
})

/** The commands of a product that is at this place. */
function commandsOf(within: Product['within']) {
  const product: Product = {
    jobs,
    catalogue: jobs,
    isEnabled: true,
    cronVariable: null,
    within,
    withHandlers: () => Promise.reject(new Error('nothing runs here')),
  }
  const source = (command: string) => ({ call: `roundsman ${command}`, open: async () => product })
  return {
    runs: createRunsCommand(source('runs')),
    'dead-letters': createDeadLettersCommand({ ...source('dead-letters'), once: 'roundsman once' }),
    queue: createQueueCommand(source('queue')),
    work: createWorkCommand(source('work')),
    signal: createSignalCommand(source('signal')),
    limits: createLimitsCommand(source('limits')),
    keys: createKeysCommand(source('keys')),
  }
}

const commands = commandsOf((work) => work({ databaseUrl: database.url, schema: 'public' }))

async function run(command: Command, args: string[]) {
  const { stdout, stderr, lines } = collectOutput()
  const code = await exitCodeOf(command, args, { variables: {}, stdout, stderr })
  return { code, ...lines() }
}

describe('roundsman runs', () => {
  it('lists runs, the newest first, and why one has failed', async () => {
    const { code, stdout, stderr } = await run(commands.runs, [])

    expect({ code, stderr }).toEqual({ code: 0, stderr: [] })
    expect(stdout).toEqual([
      '2026-05-01 11:00:00  failed   750 ms  dispatchEmail  Order 42',
      `  ${ids.mail}  queue, attempt 3`,
      '  smtp_unavailable: SmtpError at send (src/mail.ts:3:4) (It is closed.)',
      '2026-05-01 10:00:00  success     1 s  cleanupPreviewSessions',
      `  ${ids.clean}  schedule`,
      '2026-04-01 10:00:00  success   1 min  formerJob',
      `  ${ids.removed}  queue`,
    ])
  })

  it.each([
    [['--job', 'formerJob'], [ids.removed]],
    [['--status', 'failed'], [ids.mail]],
    [['--outcome', 'failed'], [ids.mail]],
    [['--outcome', 'lost'], []],
    [['--error', 'smtp_unavailable'], [ids.mail]],
    [['--label', 'order 4'], [ids.mail]],
    [['--worker', 'w', '--min-duration-ms', '60000'], [ids.removed]],
    [['--max-duration-ms', '1000'], [ids.mail]],
    [['--trigger', 'schedule'], [ids.clean]],
    [
      ['--from', '2026-05-01'],
      [ids.mail, ids.clean],
    ],
    [['--to', '2026-05-01T10:00:00+00:00'], [ids.removed]],
    [['--work', ids.letter], []],
  ])('narrows them down with %j', async (args, expected) => {
    const { stdout } = await run(commands.runs, [...args, '--json'])

    const { runs } = JSON.parse(stdout.join('')) as { runs: { id: string }[] }
    expect(runs.map(({ id }) => id)).toEqual(expected)
  })

  it('goes on where it says that there is more', async () => {
    const { stdout } = await run(commands.runs, ['--limit', '2'])
    const [, position] = /^More: --after (\S+)$/.exec(stdout.at(-1) ?? '') ?? []

    const rest = await run(commands.runs, ['--json', '--after', position ?? ''])

    expect(JSON.parse(rest.stdout.join(''))).toMatchObject({
      runs: [{ id: ids.removed }],
      next: null,
    })
  })

  it('asks back for a name that neither a job nor a run has', async () => {
    expect(await run(commands.runs, ['--job', 'cleanupPreviewSesions'])).toMatchObject({
      code: 2,
      stderr: [
        '--job: there is no job "cleanupPreviewSesions": did you mean cleanupPreviewSessions?',
        'More: --help',
      ],
    })
    expect(
      (await run(commands.runs, ['--job', 'dispatchEmail', '--status', 'running'])).stdout,
    ).toEqual(['There is no such run.'])
  })

  it.each([
    [['--status', 'lost'], '--status: "lost" is none of running, success, failed'],
    [['--outcome', 'dead'], '--outcome: "dead" is none of running, '],
    [['--min-duration-ms', '5s'], '--min-duration-ms is a whole number from 0'],
    [['--from', 'yesterday'], '--from: "yesterday" is not a date'],
    [['--from', '9999-12-31T23:59-14:00'], 'is not within the years 1 to 9999'],
    [['--work', '1'], '--work: "1" is not the id of a piece of work'],
    [['--limit', '0'], '--limit is a whole number from 1 to 1000'],
    [['--after', 'x/y'], '--after: "x/y" is not a position'],
    [['--after', `0000-01-01T00:00:00Z/${ids.mail}`], '--after: "0000-01-01T00:00:00Z'],
    [['--after', `2026-02-30T00:00:00Z/${ids.mail}`], '--after: "2026-02-30T00:00:00Z'],
    [['--after', `2026-02-28T24:00:00Z/${ids.mail}`], '--after: "2026-02-28T24:00:00Z'],
    // What no option's own check refuses.
    [['--job', 'a\0b'], 'name holds a NUL character'],
    [['--label', 'x'.repeat(10_001)], 'label must have at most 10000 characters'],
  ])('exits with 2 for %j', async (args, problem) => {
    const { code, stderr } = await run(commands.runs, args)
    expect(code).toBe(2)
    expect(stderr[0]).toContain(problem)
    expect(stderr.join('\n')).toContain('Usage: roundsman runs')
  })
})

it.each([
  { command: 'runs', args: [] },
  { command: 'runs', args: ['--json'] },
  { command: 'runs', args: ['show', ids.mail] },
  { command: 'runs', args: ['show', ids.mail, '--json'] },
  { command: 'dead-letters', args: [] },
  { command: 'dead-letters', args: ['--json'] },
  { command: 'work', args: ['explain', ids.letter] },
  { command: 'work', args: ['explain', ids.letter, '--json'] },
] as const)(
  'shows no message of an error, unless asked: $command $args',
  async ({ command, args }) => {
    const MESSAGE = /ECONNREFUSED|No answer|secret/
    const shown = await run(commands[command], [...args])
    expect(shown).toMatchObject({ code: 0 })
    expect(shown.stdout.join('')).toContain('smtp_unavailable')
    expect(shown.stdout.join('')).not.toMatch(MESSAGE)
    if (command === 'work') return
    const withMessages = await run(commands[command], [...args, '--messages'])
    expect(withMessages.stdout.join('')).toMatch(MESSAGE)
  },
)

describe('roundsman runs show', () => {
  it('tells where a run has come from, what has come from it, and what has its label', async () => {
    const [parent, child] = [randomUUID(), randomUUID()]
    const ms = Date.now().toString(16).padStart(12, '0')
    const waiting = `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-000000000000`
    await database.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "label", "workId", "parentId",
        "uniqueKey", "enqueuedBy", "traceId")
      values (${parent}::uuid, 'dispatchEmail', 'success', 'queue', now(), now(), 'w', 'Order 7', ${parent}::uuid, null, 'k', 'request 7', 'abc'),
        (${child}::uuid, 'renderInvoicePdf', 'success', 'queue', now(), now(), 'w', null, ${child}::uuid, ${parent}::uuid, null, null, null),
        (gen_random_uuid(), 'dispatchEmail', 'success', 'queue', now() - interval '3 s', now(), 'w', 'Order 7', gen_random_uuid(), null, null, null, null)`
    await database.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "bytes", "payload", "facts", "dueAt")
      values (${waiting}::uuid, 'renderInvoicePdf', 2, '{}', jsonb_build_object('parent', ${parent}::text), '2099-01-01Z')`
    const { code, stdout, stderr } = await run(commands.runs, ['show', parent])
    const text = stdout.join('\n').replaceAll(/\s+/g, ' ')
    expect({ code, stderr }).toEqual({ code: 0, stderr: [] })
    for (const said of [
      'Enqueued by request 7',
      'Unique key k',
      'Trace abc',
      'another piece of work with this label started 3 s before: run',
      `Led to renderInvoicePdf: run ${child}, success`,
      `Led to renderInvoicePdf: waits until 2099-01-01 00:00:00 UTC, work ${waiting}`,
    ])
      expect(text).toContain(said)
    const ofChild = (await run(commands.runs, ['show', child])).stdout
      .join(' ')
      .replaceAll(/\s+/g, ' ')
    expect(ofChild).toContain(`Enqueued by run ${parent} of dispatchEmail (Order 7)`)
    const json = await run(commands.runs, ['show', '--json', child])
    expect(JSON.parse(json.stdout.join(''))).toMatchObject({
      run: { links: { parent: { id: parent } } },
    })
    await database.prisma
      .$executeRaw`delete from "JobRun" where "startedAt" > now() - interval '1 hour'`
  })

  it('tells its tick by the clock of its schedule, and the due rows that it left', async () => {
    const id = randomUUID()
    await database.prisma.$executeRaw`
      insert into "JobSchedule" ("name", "cron", "timeZone", "cursor")
      values ('dispatchEmail', '0 8 * * *', 'Europe/Berlin', '2026-05-02Z')`
    await database.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "scheduledFor", "details")
      values (${id}::uuid, 'dispatchEmail', 'success', 'schedule', now(), now(), 'w', '2026-05-02 06:00Z', '{"stillDue": "over 10,000"}')`
    const { stdout } = await run(commands.runs, ['show', id])
    const text = stdout.join('\n').replaceAll(/\s+/g, ' ')
    expect(text).toContain(
      'Tick 2026-05-02 08:00:00 +02:00 in Europe/Berlin, 2026-05-02 06:00:00 UTC',
    )
    expect(text).toContain('Left over 10,000 still due, locked by others')
    const listed = (await run(commands.runs, ['--limit', '1'])).stdout.join('\n')
    expect(listed).toContain('schedule, over 10,000 still due, locked by others')
    await database.prisma.$executeRaw`delete from "JobRun" where "id" = ${id}::uuid`
    await database.prisma.$executeRaw`delete from "JobSchedule"`
  })

  it.each([
    [['show'], 2, 'Which run? Give its id'],
    [['show', 'x'], 2, '"x" is not the id of a run'],
    [['show', randomUUID()], 1, 'There is no run'],
  ])('exits for %j with %i', async (args, code, problem) => {
    const shown = await run(commands.runs, args)
    expect(shown).toMatchObject({ code })
    expect(shown.stderr.join()).toContain(problem)
  })
})

describe('roundsman dead-letters', () => {
  it('lists what was given up, and why', async () => {
    expect(await run(commands['dead-letters'], [])).toMatchObject({
      code: 0,
      stdout: [
        '2026-05-01 11:00:00  dispatchEmail  Order 42',
        `  ${ids.letter}  3 attempts`,
        '  smtp_unavailable',
      ],
    })
    const { stdout: withMessages } = await run(commands['dead-letters'], ['--messages'])
    expect(withMessages.at(-1)).toBe('  smtp_unavailable: No answer')
    const { stdout } = await run(commands['dead-letters'], ['--json', '--job', dispatchEmail.name])
    expect(JSON.parse(stdout.join(''))).toMatchObject({
      deadLetters: [{ workId: ids.letter, error: { code: 'smtp_unavailable' } }],
      next: null,
    })
    expect(stdout.join('')).not.toContain('No answer')
    expect((await run(commands['dead-letters'], ['--job', 'pruneJobRuns'])).stdout).toEqual([
      'There is no such dead letter.',
    ])
  })
})

describe('the steps of durable work', () => {
  const by = ['--reason', 'asked the bank']
  const workId = randomUUID()
  const answer = (...args: string[]) => run(commands.work, ['answer', workId, ...args, ...by])
  const retry = (...args: string[]) => run(commands['dead-letters'], ['retry', workId, ...args])
  const steps = async (...args: string[]) =>
    (await run(commands.work, ['steps', workId, ...args])).stdout

  beforeEach(async () => {
    await database.prisma.$executeRaw`
      insert into "JobStep" ("workId", "name", "item", "kind", "seq", "runId", "startedAt", "endedAt", "result", "error", "doubtSince")
      select ${workId}::uuid, name, item, 'run', seq, ${workId}::uuid, ${FAILED_AT}::timestamptz, ended::timestamptz, result::jsonb,
        error::jsonb, doubt::timestamptz
      from (values
        ('reserve', 'a b', 1, '2026-05-01T11:00:02.250Z', '{"seat": 7}', null, null),
        ('mail', '', 2, '2026-05-01T11:00:01.250Z', null, '{"code": "smtp_down", "message": "No answer"}', null),
        ('charge', '', null, null, null, '{"code": "in_doubt", "message": "socket hang up"}', ${FAILED_AT})
      ) step(name, item, seq, ended, result, error, doubt)`
    await database.prisma.$executeRaw`
      insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage", "facts")
      values (${workId}::uuid, ${dispatchEmail.name}, 2, '{}', 'step_failed', '', '{"failedStep": {"name": "mail", "item": ""}}')`
  })
  afterEach(async () => {
    await database.prisma.$executeRaw`delete from "JobStep"`
    await database.prisma.$executeRaw`delete from "JobWork" where "id" = ${workId}::uuid`
    await database.prisma.$executeRaw`delete from "JobDeadLetter" where "id" = ${workId}::uuid`
  })

  it('are listed, with contents only where somebody asks for them', async () => {
    expect(await steps()).toEqual([
      'dispatchEmail  1 of 3 steps done',
      'done     reserve a b  2026-05-01 11:00:00 UTC  2 s',
      'failed   mail         2026-05-01 11:00:00 UTC  1 s, smtp_down',
      'inDoubt  charge       2026-05-01 11:00:00 UTC  may have happened: work answer',
      expect.stringMatching(/^ +says which, in_doubt$/),
    ])
    const [json = ''] = await steps('--json')
    expect(JSON.parse(json)).toMatchObject({
      name: 'dispatchEmail',
      steps: [{ name: 'reserve', error: null }, { error: { code: 'smtp_down' } }, {}],
    })
    expect(json).not.toMatch(/No answer|seat/)
    const [withContents = ''] = await steps('--json', '--messages')
    expect(withContents).toMatch(/seat.*No answer/)
    expect((await steps('--messages'))[1]).toContain('{"seat":7}')
  })

  it('in doubt take an answer once', async () => {
    expect(await answer('--step', 'charge', '--happened', '--result', '{"id":1}')).toMatchObject({
      ...{ code: 0, stdout: ['The work continues, and does not call it again.'] },
    })
    expect((await steps('--messages')).join(' ')).toContain('{"id":1}')
    expect(await answer('--step', 'charge', '--absent')).toMatchObject({ code: 1 })
    const again = await answer('--step', 'charge', '--absent', '--json')
    expect([again.code, JSON.parse(again.stdout.join(''))]).toEqual([
      1,
      { workId, step: 'charge', outcome: 'notInDoubt' },
    ])
  })

  it.each([
    [[], 'Done again, with the same keys: mail.'],
    [['--from', 'beginning'], 'Done again, with other keys: reserve a b, mail.'],
    [['--from', 'reserve', '--item', 'a b'], 'Done again, with other keys: reserve a b, mail.'],
  ])('are done again by a retry with %j', async (from, said) => {
    await answer('--step', 'charge', '--happened')
    await database.prisma.$executeRaw`delete from "JobStep" where "name" = 'charge'`
    expect(await retry(...from, ...by)).toMatchObject({
      ...{ code: 0, stdout: [`Work ${workId} is back in the queue.`, said] },
    })
    const late = await retry(...by)
    expect([late.code, late.stderr.join()]).toEqual([1, `There is no dead letter ${workId}.`])
  })

  it.each([
    [1, () => retry('--from', 'reserve', ...by), 'No step reserve of work'],
    [1, () => run(commands.work, ['steps', randomUUID()]), 'There is no record of work'],
    [2, () => retry(), '--reason is missing'],
    [2, () => retry('--item', 'a', ...by), '--item is for --from STEP alone'],
    [2, () => retry('more', ...by), '"more" is too much'],
    [2, () => answer('--happened'), '--step is missing'],
    [2, () => answer('--step', 'charge'), 'Give exactly one of --happened and --absent'],
    [2, () => answer('--step', 'charge', '--happened', '--result', '{'), '--result is not JSON'],
    [
      2,
      () => answer('--step', 'charge', '--absent', '--result', '1'),
      '--result is for --happened',
    ],
    [2, () => run(commands.work, ['steps']), 'Which piece of work? Give its id'],
  ])('exit with %i for what cannot be done: %#', async (code, command, problem) => {
    const done = await command()
    expect({ code: done.code, said: done.stderr.join('\n') }).toEqual({
      code,
      said: expect.stringContaining(problem) as string,
    })
  })
})

describe('roundsman signal', () => {
  const by = ['--reason', 'they have paid']
  const send = (...args: string[]) => run(commands.signal, args)
  afterEach(async () => {
    await database.prisma.$executeRaw`delete from "JobSignal"`
  })

  it('sends a signal once, and records who sent it', async () => {
    const args = ['approved', '--key', 'o1', '--id', 'r1', '--payload', '{"by":"ada"}', ...by]
    expect(await send(...args)).toMatchObject({ code: 0, stdout: ['The signal is sent.'] })
    expect((await send(...args)).stdout).toEqual([
      'Nothing changes: a signal with the id r1 was sent.',
    ])
    const json = JSON.parse((await send(...args, '--json')).stdout.join(''))
    expect(json).toEqual({ signal: 'approved', key: 'o1', id: 'r1', outcome: 'duplicate' })
    const [sent] = await database.prisma.$queryRaw<{ payload: unknown; sender: object }[]>`
      select "payload", "sender" from "JobSignal"`
    expect(sent?.payload).toEqual({ by: 'ada' })
    expect(sent?.sender).toMatchObject({ reason: 'they have paid' })
  })

  it.each([
    [1, ['approved', '--key', 'o1', ...by], 'payload'],
    [2, ['approved', '--key', 'o1', '--payload', '{', ...by], '--payload is not JSON'],
    [2, ['approved', ...by], '--key is missing'],
    [2, ['approved', '--key', 'o1'], '--reason is missing'],
    [2, ['--key', 'o1', ...by], 'Which signal?'],
  ])('exits with %i for %j', async (code, args, problem) => {
    const done = await send(...args)
    expect({ code: done.code, said: done.stderr.join('\n') }).toEqual({
      code,
      said: expect.stringContaining(problem) as string,
    })
  })
})

describe('roundsman limits and keys', () => {
  const by = ['--reason', 'the partner asked']
  const say = async (command: keyof typeof commands, ...args: string[]) => {
    const { code, stdout, stderr } = await run(commands[command], args)
    return [code, ...stdout, ...stderr]
  }
  beforeEach(async () => {
    await database.prisma.$executeRaw`delete from "JobLimit"`
    await database.prisma.$executeRaw`delete from "JobKey"`
  })

  it('lists limits with what holds them, and sets them until they are taken back', async () => {
    expect(await say('limits', 'list')).toEqual([0, 'No job has a limit over all workers.'])
    await database.prisma.$executeRaw`
      insert into "JobLimit" ("name", "global", "rateLimit", "ratePerMs", "jobs") values ('stripe', 20, 100, 1000, '{charge,refund}')`
    expect(await say('limits', 'set', 'stripe', '--global', '3', ...by)).toEqual([
      0,
      'stripe: 3 at once.',
    ])
    await database.prisma
      .$executeRaw`update "JobLimit" set "setAt" = ${FAILED_AT}::timestamptz, "setBy" = 'ada'`
    expect(await say('limits', 'list')).toEqual([
      0,
      'stripe',
      '  shared by  charge, refund',
      '  at once    0 of 3',
      '  set        by ada at 2026-05-01 11:00:00 UTC: the partner asked; in the code',
      '             20',
      '  rate       100 starts in 1 s',
    ])
    expect(await say('limits', 'set', 'stripe', '--global', 'none', ...by)).toEqual([
      0,
      'stripe: the limit in the code.',
    ])
    expect(await say('limits', 'set', 'nobody', '--global', '3', ...by)).toEqual([
      1,
      'No worker has registered a limit nobody',
    ])
  })

  it('lists keys, and sets what counts for one', async () => {
    const name = 'renderInvoicePdf'
    expect(await say('keys', 'set', name, 'a', '--pause', ...by)).toEqual([
      1,
      `No worker has registered keys of ${name}`,
    ])
    await database.prisma
      .$executeRaw`insert into "JobLimit" ("name", "order") values ('job:renderInvoicePdf', 'fair')`
    await database.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "key", "bytes", "payload", "enqueuedAt")
      select gen_random_uuid(), 'renderInvoicePdf', 'b', 2, '{}', ${FAILED_AT}::timestamptz from generate_series(1, 2)`
    expect(await say('keys', 'set', name, 'a', '--per-key', '5', '--pause', ...by)).toEqual([
      0,
      `Key a of ${name}: set.`,
    ])
    await database.prisma.$executeRaw`update "JobKey" set "pausedBy" = 'ada'`
    const listed = await say('keys', 'list', name)
    await database.prisma.$executeRaw`delete from "JobWork" where "name" = 'renderInvoicePdf'`
    expect(listed).toEqual([
      0,
      'b  2 wait  0 run  oldest 2026-05-01 11:00:00 UTC',
      'a  0 wait  0 run  5 at once, paused by ada: the partner asked',
    ])
    expect(await say('keys', 'set', name, 'a', '--per-key', 'none', '--resume', ...by)).toEqual([
      0,
      `Key a of ${name}: set.`,
    ])
    expect(await say('keys', 'list', name)).toEqual([0, 'No work has a key.'])
    for (const wrong of [[], ['--per-key', '0'], ['--pause', '--resume'], ['--per-key', 'x']])
      expect((await say('keys', 'set', name, 'a', ...wrong, ...by))[0]).toBe(2)
  })
})

describe('roundsman work', () => {
  const by = ['--reason', 'the partner is away']
  const rows = () =>
    database.prisma.$queryRaw<{ priority: number; due: Date }[]>`
      select "priority", "due" from "JobWaiting" where "job" = 'renderInvoicePdf' order by "id"`
  const waiting = [randomUUID(), randomUUID(), randomUUID()].toSorted()

  beforeEach(async () => {
    await database.prisma.$executeRaw`delete from "JobWork" where "name" = 'renderInvoicePdf'`
    await database.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "bytes", "label", "payload", "rank", "place", "dueAt")
      select id::uuid, 'renderInvoicePdf', 2, 'Invoice ' || n, '{}', 1 - n, null,
        ${FAILED_AT}::timestamptz + n * interval '1 hour'
      from unnest(${waiting}::text[]) with ordinality work(id, n)`
  })

  it('lists what waits, what is due first at first, and goes on where there is more', async () => {
    const first = await run(commands.work, ['list', 'renderInvoicePdf', '--limit', '2'])
    expect(first).toMatchObject({
      code: 0,
      stderr: [],
      stdout: [
        '2026-05-01 12:00:00  due      renderInvoicePdf',
        `  ${waiting[0]}`,
        '  Invoice 1',
        '2026-05-01 13:00:00  due      renderInvoicePdf',
        `  ${waiting[1]}  priority 1`,
        '  Invoice 2',
        '',
        expect.stringMatching(/^2 of 3\. More: --after \S+$/),
      ],
    })
    const position = first.stdout.at(-1)?.split(' ').at(-1) ?? ''
    const rest = await run(commands.work, ['list', '--json', '--after', position])
    expect(JSON.parse(rest.stdout.join(''))).toMatchObject({
      work: [{ workId: waiting[2], label: 'Invoice 3' }],
      total: 3,
      next: null,
      pausedQueues: [],
    })
  })

  it('says of what is due that its queue is paused, by whom and why', async () => {
    await database.prisma.$executeRaw`
      insert into "JobQueue" ("name", "pausedAt", "pausedBy", "pauseReason")
      values ('renderInvoicePdf', ${FAILED_AT}::timestamptz, 'ada', 'no paper')`
    const { stdout } = await run(commands.work, ['list', 'renderInvoicePdf'])
    const json = await run(commands.work, ['list', 'renderInvoicePdf', '--json'])
    await database.prisma.$executeRaw`delete from "JobQueue"`
    expect(stdout[0]).toBe('2026-05-01 12:00:00  paused   renderInvoicePdf')
    expect(stdout.slice(-2).join(' ')).toBe(
      'The queue of renderInvoicePdf is paused since 2026-05-01 11:00 UTC by ada: no paper',
    )
    expect(JSON.parse(json.stdout.join(''))).toMatchObject({
      pausedQueues: [{ name: 'renderInvoicePdf', pausedBy: 'ada' }],
    })
  })

  it('explains why a piece waits, and what became of another', async () => {
    await database.prisma.$executeRaw`
      insert into "JobQueue" ("name", "pausedAt", "pausedBy", "pauseReason")
      values ('renderInvoicePdf', ${FAILED_AT}::timestamptz, 'ada', 'no paper')`
    await database.prisma.$executeRaw`update "JobWork" set "enqueuedAt" = ${FAILED_AT}::timestamptz`
    const { code, stdout } = await run(commands.work, ['explain', waiting[0] as string])
    const json = await run(commands.work, ['explain', waiting[0] as string, '--json'])
    await database.prisma.$executeRaw`delete from "JobQueue"`
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: [
        'renderInvoicePdf  Invoice 1',
        'Waits, enqueued 2026-05-01 11:00:00 UTC. It waits because:',
        '  the queue is paused by ada: no paper, since 2026-05-01 11:00:00 UTC',
        '  no living worker takes work of renderInvoicePdf (0 workers live)',
        // They have a higher priority, and are due as well.
        '  2 pieces start before it',
      ],
    })
    expect(JSON.parse(json.stdout.join(''))).toMatchObject({
      workId: waiting[0],
      state: 'waiting',
      reasons: [{ kind: 'paused' }, { kind: 'noWorker' }, { kind: 'behind' }],
    })
    await run(commands.work, ['cancel', 'renderInvoicePdf', '--id', waiting[1] as string, ...by])
    expect((await run(commands.work, ['explain', waiting[1] as string])).stdout).toEqual([
      'renderInvoicePdf',
      expect.stringMatching(/^cancelled by \S+: the partner is away, \S+ \S+ UTC$/),
    ])
    const unknown = randomUUID()
    expect(await run(commands.work, ['explain', unknown])).toMatchObject({
      code: 1,
      stderr: [`There is no record of work ${unknown}.`],
    })
    expect((await run(commands.work, ['explain', 'invoice'])).code).toBe(2)
  })

  it('changes some of it or all, and says how much that was', async () => {
    const id = waiting[1] as string
    const change = async (...args: string[]) => (await run(commands.work, [...args, ...by])).stdout
    expect(
      await change('postpone', 'renderInvoicePdf', '--id', id, '--until', '2099-01-01'),
    ).toEqual(['1 of renderInvoicePdf postponed.'])
    expect((await rows())[1]?.due).toEqual(new Date('2099-01-01T00:00:00Z'))
    for (const priority of [-(2 ** 31), 2 ** 31 - 1, 9])
      expect(
        await change('prioritise', 'renderInvoicePdf', '--all', `--priority=${priority}`),
      ).toEqual(['3 of renderInvoicePdf given another priority.'])
    expect(await rows()).toMatchObject([1, 2, 3].map(() => ({ priority: 9 })))
    expect(await change('cancel', 'renderInvoicePdf', '--label', 'Invoice 1')).toEqual([
      '1 of renderInvoicePdf cancelled.',
    ])
    await database.prisma
      .$executeRaw`update "JobWork" set "key" = 'tenant ü/7' where "id" = ${waiting[2]}::uuid`
    const key = ['--key', 'tenant ü/7']
    const { stdout } = await run(commands.work, ['list', ...key])
    expect(stdout[1]).toBe(`  ${waiting[2]}  key tenant ü/7, priority 9`)
    expect(stdout).toHaveLength(3)
    expect(await change('postpone', 'renderInvoicePdf', ...key, '--for', '2h')).toEqual([
      '1 of renderInvoicePdf postponed.',
    ])
    expect(await change('cancel', 'renderInvoicePdf', '--all', '--json')).toEqual([
      JSON.stringify({ name: 'renderInvoicePdf', done: 2, left: 0, passed: {} }),
    ])
    expect(await rows()).toEqual([])
    // One line for each act, however many it is of.
    expect(
      await database.prisma.$queryRaw`
        select "action", cardinality("pieces") as "count", "reason" from "JobAction" order by "at" desc limit 1`,
    ).toEqual([{ action: 'cancelWork', count: 2, reason: 'the partner is away' }])
  })

  it('says how far it is with many, and what it has passed over', async () => {
    await database.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "bytes", "payload", "rank", "place", "dueAt")
      select gen_random_uuid(), 'renderInvoicePdf', 2, '{}', case when n <= 3 then -9 else 0 end, null, now() from generate_series(1, 2500) n`
    const { code, stdout, stderr } = await run(commands.work, [
      ...['prioritise', 'renderInvoicePdf', '--all', '--priority', '9'],
      ...by,
    ])
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: ['2500 of renderInvoicePdf given another priority; 3 unchanged.'],
    })
    expect(stderr.map((line) => line.replace(/^\d+ done/, ''))).toEqual([
      ', 1503 left',
      ', 503 left',
    ])
  })

  it('pauses and resumes its queue', async () => {
    const change = async (...args: string[]) => (await run(commands.queue, args)).stdout
    expect(await change('pause', 'renderInvoicePdf', ...by)).toEqual([
      'The queue of renderInvoicePdf is paused.',
    ])
    const [{ at, actor }] = (await database.prisma.$queryRaw`
      update "JobAction" set "actor" = 'ann@example.com' where "action" = 'pauseQueue'
      returning "actor", to_char("at" at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as "at"`) as [
      { at: string; actor: string },
    ]
    expect(await change('pause', 'renderInvoicePdf', ...by)).toEqual([
      `The queue of renderInvoicePdf was paused already. ${actor} paused it at ${at} UTC: the partner is away`,
    ])
    expect(await change('pause', 'renderInvoicePfd', ...by)).toEqual([
      'The queue of renderInvoicePfd is paused. No worker and no work of renderInvoicePfd is known yet: did you mean renderInvoicePdf? If the name is wrong, resume it.',
    ])
    const [json] = await change('pause', 'renderInvoicePdf', ...by, '--json')
    expect(JSON.parse(json as string)).toEqual({
      name: 'renderInvoicePdf',
      outcome: 'alreadyPaused',
      earlier: {
        at: expect.stringContaining(at.replace(' ', 'T')),
        action: 'pauseQueue',
        actor,
        reason: 'the partner is away',
      },
    })
    expect(await change('resume', 'renderInvoicePdf')).toEqual([
      'The queue of renderInvoicePdf is resumed.',
    ])
    expect(await change('resume', 'renderInvoicePdf')).toEqual([
      expect.stringMatching(/^The queue of renderInvoicePdf was not paused\. .+ resumed it at /),
    ])
    expect(await change('resume', 'dispatchEmail', '--json')).toEqual([
      JSON.stringify({ name: 'dispatchEmail', outcome: 'notPaused' }),
    ])
  })

  it.each([
    [commands.queue, ['stop', 'renderInvoicePdf'], 'Expected pause or resume'],
    [commands.queue, ['pause'], 'Which job?'],
    [commands.queue, ['pause', 'renderInvoicePdf'], '--reason is missing: say why'],
    [commands.queue, ['resume', 'renderInvoicPdf'], 'did you mean renderInvoicePdf?'],
    [
      commands.work,
      [],
      'Say what to do: list, explain, steps, answer, cancel, postpone, prioritise',
    ],
    [
      commands.work,
      ['cancel', 'renderInvoicePdf', ...by],
      'Give exactly one of --id, --label, --key and --all',
    ],
    [commands.work, ['cancel', 'renderInvoicePdf', '--all'], '--reason is missing: say why'],
    [commands.work, ['cancel', 'renderInvoicePdf', '--id', '1', ...by], '--id: "1" is not the id'],
    [
      commands.work,
      ['postpone', 'renderInvoicePdf', '--all', ...by],
      'Give exactly one of --until',
    ],
    [
      commands.work,
      ['postpone', 'renderInvoicePdf', '--all', '--for', 'long', ...by],
      '--for: "long" is no duration',
    ],
    [
      commands.work,
      ['prioritise', 'renderInvoicePdf', '--all', '--priority', 'high', ...by],
      '--priority is a whole number of 32 bits',
    ],
    [
      commands.work,
      ['prioritise', 'renderInvoicePdf', '--all', `--priority=${2 ** 31}`, ...by],
      '--priority is a whole number of 32 bits',
    ],
    // Whoever gives what an act does not take means something by it.
    [commands.work, ['list', '--all'], '--all is not for list'],
    [commands.work, ['cancel', 'renderInvoicePdf', '--all', '--now', ...by], '--now is not for'],
    [commands.limits, ['list', '--per-key', '3'], "Unknown option '--per-key'"],
    [commands.limits, ['list', '--global', '3'], '--global is not for list'],
    [commands.limits, ['list', 'renderInvoicePdf'], '"renderInvoicePdf" is too much'],
    [commands.keys, ['list', 'renderInvoicePdf', '--per-key', '3'], '--per-key is not for list'],
    [commands.keys, ['list', 'renderInvoicePdf', 'a'], '"a" is too much'],
    [commands.keys, ['set', 'renderInvoicePdf', 'a', '--limit', '3'], '--limit is not for set'],
    // What no option's own check refuses.
    [commands.queue, ['pause', 'a\0b', ...by], 'name holds a NUL character'],
    [commands.work, ['list', 'a\0b'], 'name holds a NUL character'],
    [commands.work, ['cancel', 'a\0b', '--all', ...by], 'name holds a NUL character'],
    [
      commands.work,
      ['postpone', 'renderInvoicePdf', '--all', '--until', '9999-12-31T23:59-14:00', ...by],
      '--until: "9999-12-31T23:59-14:00" is not within the years 1 to 9999',
    ],
    [commands.work, ['cancel', 'dispatchEmial', '--all', ...by], 'did you mean dispatchEmail?'],
  ])('exits with 2 for what is wrong: %#', async (command, args, problem) => {
    const { code, stderr } = await run(command, args)
    expect({ code, said: stderr.join('\n') }).toEqual({
      code: 2,
      said: expect.stringContaining(problem),
    })
  })
})
