import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import type { WhosePayload } from '../../src/client.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.looseObject({ to: z.string().optional() }),
  show: ['to'],
  retry: { limit: 0 },
})
const nobody = '00000000-0000-0000-0000-000000000000'
const broken = { code: 'broken', message: '' }

const runtime = useTestRuntime({ cleared: ['JobAction', 'JobWork'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel]))

const enqueue = async (payload: Record<string, unknown>) =>
  (await opened.client.enqueueNow(parcel, payload)).workId
const look = (whose: WhosePayload) =>
  opened.client.showPayload(whose, { actor: 'owner@example.com', jobs: [parcel] })
const looks = () =>
  runtime.rows('select "action", "name", "actor", "runId", "workId" from "JobAction"')
const looked = { action: 'showPayload', name: 'parcel', actor: 'owner@example.com' }
const shown = (payload: unknown) => ({ kind: 'shown', payload })
/** Longer than what a row of the queue itself holds. */
const long = 'x'.repeat(2_000)

describe.each([{ n: 1 }, { n: 1, long }])(
  'a payload is shown, and the look recorded',
  (payload) => {
    it('of work that waits', async () => {
      const workId = await enqueue(payload)
      expect(await look({ workId })).toEqual(shown(payload))
      expect(await looks()).toEqual([{ ...looked, workId, runId: null }])
    })

    it('of a run under way, until it has succeeded', async () => {
      await enqueue(payload)
      const [work] = await opened.take('parcel')
      const runId = work!.runId
      expect(await look({ runId })).toEqual(shown(payload))
      expect(await looks()).toEqual([{ ...looked, runId, workId: null }])
      await opened.complete([work!])
      expect(await look({ runId })).toEqual({ kind: 'payloadGone' })
      expect(await looks()).toHaveLength(1)
    })

    it('of a dead letter, and of the run that made it one', async () => {
      const workId = await enqueue(payload)
      const [work] = await opened.take('parcel')
      await opened.fail([work!], broken, 'giveUp')
      expect(await look({ workId })).toEqual(shown(payload))
      expect(await look({ runId: work!.runId })).toEqual(shown(payload))
      expect(await looks()).toHaveLength(2)
    })
  },
)

it('is not shown where nothing is, and where the caller rolls back nobody has looked', async () => {
  expect(await look({ workId: nobody })).toEqual({ kind: 'notFound' })
  expect(await look({ runId: nobody })).toEqual({ kind: 'notFound' })
  const workId = await enqueue({})
  const rolledBack = runtime.prisma.$transaction(async (tx) => {
    const by = { actor: 'owner@example.com', jobs: [parcel] }
    expect(await opened.client.showPayload({ workId }, by, { tx })).toEqual(shown({}))
    throw new Error('no')
  })
  await expect(rolledBack).rejects.toThrow('no')
  expect(await looks()).toEqual([])
  await expect(look({} as never)).rejects.toThrow('whose has to have a runId or a workId')
})

it('is copied with changes: what was masked stays what it was, and no mask becomes a part of it', async () => {
  const secrets = { password: 'hunter2', list: [{ token: 'abc' }], city: 'Bonn' }
  const workId = await enqueue(secrets)
  const copy = async (change: object) => {
    const seen = (await look({ workId })) as { payload: object }
    const payload = { ...seen.payload, ...change }
    const by = { actor: 'owner@example.com', reason: 'moved', payload }
    return await opened.client.runAgain(parcel, { workId }, by)
  }
  const made = (await copy({ city: 'Ulm' })) as { workId: string }
  const [row] = await runtime.rows(`select "payload" from "JobWork" where "id" = $1`, [made.workId])
  expect(row).toEqual({ payload: { ...secrets, city: 'Ulm' } })
  await expect(copy({ list: [{ token: '[redacted]' }, {}] })).rejects.toMatchObject({
    code: 'payload_invalid',
    details: { issues: [{ path: ['list'] }] },
  })
  await expect(copy({ city: '[redacted]' })).rejects.toMatchObject({ code: 'payload_invalid' })
})

it('has no credentials and no e-mail addresses, except in what the job shows', async () => {
  const workId = await enqueue({
    to: 'ann@example.com',
    replyTo: 'bob@example.com',
    url: 'https://user:pass@host/path',
    headers: [{ Authorization: 'Bearer abc', 'x-api-key': 'k', cookies: ['a'] }],
    user: { password: 'hunter2', passwordHash: 'h', refreshToken: 'r', token: null, to: 'c@d.ef' },
    'a@b.cd': 1,
    'e@f.gh': 2,
    tokenCount: 6,
    isSecret: true,
  })
  expect(await look({ workId })).toEqual(
    shown({
      to: 'ann@example.com',
      replyTo: '[redacted]',
      url: 'https://[redacted]@host/path',
      headers: [{ Authorization: '[redacted]', 'x-api-key': '[redacted]', cookies: '[redacted]' }],
      user: {
        password: '[redacted]',
        passwordHash: '[redacted]',
        refreshToken: '[redacted]',
        token: null,
        to: '[redacted]',
      },
      '[redacted] 4': 1,
      '[redacted] 5': 2,
      tokenCount: 6,
      isSecret: true,
    }),
  )
})

const SECRET_NAMES = [
  ...[
    'password',
    'newPassword2',
    'user_password',
    'PASSWORD',
    'userpassword',
    'passwordHash',
    'passwd',
  ],
  ...['pwd', 'dbPwd', 'DB_PASS', 'pass', 'smtpPass', 'passphrase', 'passcode', 'Passwort'],
  ...['pin', 'pinCode', 'cardPin', 'otp', 'smsOtp', 'totpSecret', 'cvv', 'cvv2', 'cardCVC', 'cvc'],
  ...[
    'jwt',
    'userJWT',
    'bearer',
    'bearerToken',
    'auth',
    'basicAuth',
    'Authorization',
    'authHeader',
  ],
  ...[
    'secretKey',
    'clientSecret',
    'clientsecret',
    'AWS_SECRET_ACCESS_KEY',
    'secrets',
    'secret-value',
  ],
  ...[
    'token',
    'accessToken',
    'authtoken',
    'id_token',
    'tokens',
    'tokenValue',
    'csrf',
    'xsrf-token',
  ],
  ...['apiKey', 'x-api-key', 'APIKey', 'apikeys', 'private_key', 'privateKeyPem', 'signingKey'],
  ...[
    'sessionId',
    'session_id',
    'SESSIONID',
    'sessid',
    'sessionKey',
    'sid',
    'cookie',
    'Set-Cookie',
  ],
  ...[
    'credentials',
    'dbCredential',
    'securityCode',
    'mfaCode',
    '2faCode',
    'resetCode',
    'one_time_code',
  ],
  ...['cardNumber', 'card_number', 'resetPasswordUrl', 'cardnumber', 'ccNumber', 'creditCard'],
  ...[
    'secretkey',
    'awssecretaccesskey',
    'dbpass',
    'userpass',
    'basicauth',
    'PassWord',
    'passPhrase',
  ],
  ...['seedPhrase', 'authkey', 'authKey', 'xapikey', 'sshKey', 'pgpKey', 'privKey', 'hmacKey'],
  ...['consumerKey', 'sharedKey', 'accountKey', 'serviceRoleKey', 'licenseKey', 'creds'],
  ...['connect.sid', 'PHPSESSID', 'jsessionid', 'pincode', 'verificationcode', 'smsCode'],
  ...['accessCode', 'codeVerifier'],
]
const SHOWN_NAMES = [
  ...[
    'pinned',
    'pinColor',
    'pins',
    'shipping',
    'shippingAddress',
    'opinion',
    'opinions',
    'spinner',
  ],
  ...[
    'author',
    'authorId',
    'authMethod',
    'authority',
    'compass',
    'passenger',
    'passengers',
    'bypass',
  ],
  ...[
    'secretary',
    'tokenCount',
    'tokenExpiresAt',
    'tokenizer',
    'passwordChangedAt',
    'passwordLength',
  ],
  ...[
    'key',
    'keyId',
    'keyboard',
    'cacheKey',
    'assignee',
    'cardinality',
    'basic',
    'userId',
    'publicKey',
    'primaryKey',
    'monkey',
    'turkey',
    'session',
    'sessions',
    'messageSid',
  ],
  ...[
    'code',
    'countryCode',
    'postalCode',
    'errorCode',
    'number',
    'orderNumber',
    'id',
    'userId',
    'side',
  ],
  ...[
    'cookieConsent',
    'hotpot',
    'laptop',
    'option',
    'adopt',
    'bearing',
    'cardholder',
    'discard',
    'label',
  ],
]

it('hides what is called as a credential, by the words of its name, and no more', async () => {
  const all = (names: string[], value: unknown) =>
    Object.fromEntries(names.map((name) => [name, value]))
  const hidden = await enqueue(all(SECRET_NAMES, 'x'))
  expect(await look({ workId: hidden })).toEqual(shown(all(SECRET_NAMES, '[redacted]')))
  const open = all(SHOWN_NAMES, 'x')
  expect(await look({ workId: await enqueue(open) })).toEqual(shown(open))
  const counted = {
    maxTokens: 4_096,
    tokens: 12,
    isSecret: true,
    password: null,
    pin: 1_234,
    otp: 7,
  }
  expect(await look({ workId: await enqueue(counted) })).toEqual(
    shown({ ...counted, pin: '[redacted]', otp: '[redacted]' }),
  )
})

it('hides the value beside such a name', async () => {
  const pairs = [
    { name: 'authorization', value: 'x' },
    { key: 'password', value: 'x' },
    { name: 'colour', value: 'red' },
  ]
  const workId = await enqueue({ pairs })
  expect(await look({ workId })).toEqual(
    shown({
      pairs: [
        { name: 'authorization', value: '[redacted]' },
        { key: 'password', value: '[redacted]' },
        { name: 'colour', value: 'red' },
      ],
    }),
  )
})

it('hides it however its words are put together', async () => {
  const words = fc.constantFrom(
    'api key',
    'secret key',
    'session id',
    'access token',
    'user pwd',
    'card pin',
  )
  const prefix = fc.constantFrom('', 'my ', 'x ', 'old user ')
  const upper = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
  const style = fc.constantFrom<(parts: string[]) => string>(
    (parts) => parts.join('_'),
    (parts) => parts.join('-'),
    (parts) => parts.join('.'),
    (parts) => parts.join(' '),
    (parts) => parts.join('_').toUpperCase(),
    (parts) => parts.map(upper).join(''),
    (parts) => parts.map(upper).join('-'),
    ([first = '', ...rest]) => first + rest.map(upper).join(''),
  )
  const property = fc.asyncProperty(prefix, words, style, async (before, name, write) => {
    const key = write(`${before}${name}`.split(' '))
    const workId = await enqueue({ [key]: 'x' })
    expect(await look({ workId })).toEqual(shown({ [key]: '[redacted]' }))
  })
  await fc.assert(property, { numRuns: 60 })
})

it('is told by its size where it is large, and a long text by how much is left out', async () => {
  const text = 'y'.repeat(10_192)
  const workId = await enqueue({ text })
  expect(await look({ workId })).toEqual(
    shown({ text: `${'y'.repeat(8_192)}… and 2,000 more characters` }),
  )
  const large = await enqueue({ text: 'z'.repeat(70_000) })
  expect(await look({ workId: large })).toEqual({ kind: 'tooLarge', bytes: 70_012 })
  expect(await looks()).toHaveLength(1)
})

it('is shown as far as 64 levels go, whoever wrote it', async () => {
  const workId = await enqueue({})
  const deep = `${'['.repeat(3_000)}${']'.repeat(3_000)}`
  await runtime.rows('update "JobWork" set "payload" = $2 where "id" = $1', [workId, deep])
  const { payload } = (await look({ workId })) as { payload: unknown }
  expect(JSON.stringify(payload)).toContain('[too deep]')
})
