import { scryptSync } from 'node:crypto'

/** A product that has nothing to do with Roundsman, in products/, and how somebody uses it. */
export interface Product {
  /** Its folder. */
  name: string
  /** The heading of docs/adopting.md below which stands what is done to it. */
  heading: string
  /** What it is, for the table at the end. */
  kind: string
  /** Before anything is done to it: its packages, its code, its own tables. */
  prepare: readonly string[]
  /** Tells the errors of its types, those of what is installed included. */
  check: string
  test: string
  /** Starts its server, as ever. */
  start: string
  /** How it calls the command line, and how it takes the next version of what it has. */
  cli: string
  update: string
  isSeenInBrowser?: boolean
  /** Whether it is also brought up from a version that there really was. */
  isUpgradedFromOlder?: boolean
  /** Adds to its database what it has when it is adopted: an admin, somebody who is none, and rows. */
  seed: string
  /** Logs an admin or somebody else in, and resolves to the headers of that session. Null: it has no log-in for people. */
  logIn: {
    path: string
    admin: object
    other: object
    /** Where the page says to serve the console, and what the addresses of its API begin with. */
    console: string
    api: string
  } | null
  /** A request that has it enqueue work in its own transaction, and the path it goes to. */
  act: { path: string; body: (n: number) => object }
  env: Record<string, string>
}

const SESSION_SECRET = 'a secret of the product, of more than thirty-two characters'
const PASSWORD = 'correct horse battery staple'
const HASH = scryptSync(PASSWORD, SESSION_SECRET, 32).toString('hex')

export const PRODUCTS: readonly Product[] = [
  {
    name: 'helpdesk',
    heading: 'One package, npm, CommonJS',
    isSeenInBrowser: true,
    isUpgradedFromOlder: true,
    kind: 'npm, CommonJS, Prisma 6, Fastify, moduleResolution node, jest',
    prepare: ['npm install', 'npm run db:migrate', 'npm run build'],
    check: 'npx tsc --noEmit --skipLibCheck false',
    test: 'npm test',
    start: 'npm start',
    cli: 'npx roundsman',
    update: 'npm install roundsman@next @roundsman/engine@next @roundsman/fastify@next',
    seed: `
      insert into agents (email, password, is_admin)
      values ('admin@example.com', '${HASH}', true), ('agent@example.com', '${HASH}', false);
      insert into tickets (subject, "from") select 'Ticket ' || n, 'customer@example.com' from generate_series(1, 50) n`,
    logIn: {
      path: '/login',
      admin: { email: 'admin@example.com', password: PASSWORD },
      other: { email: 'agent@example.com', password: PASSWORD },
      console: '/console/',
      api: '/api',
    },
    act: {
      path: '/tickets',
      body: (n) => ({ subject: `Help ${n}`, from: 'customer@example.com' }),
    },
    env: { SESSION_SECRET },
  },
  {
    name: 'tideworks',
    heading: 'A pnpm monorepo',
    kind: 'pnpm monorepo, ESM, Prisma 7, Fastify, vitest',
    prepare: ['pnpm install', 'pnpm run db:migrate', 'pnpm run build'],
    check: 'pnpm exec tsc -b --force',
    test: 'pnpm test',
    start: 'pnpm start',
    cli: 'pnpm --dir services/http roundsman',
    update:
      'pnpm --dir services/http add roundsman@next @roundsman/engine@next @roundsman/fastify@next',
    seed: `
      insert into harbourmasters (name, password, is_chief) values ('Ana', '${HASH}', true), ('Rui', '${HASH}', false);
      insert into berths (code, length_cm) values ('A-12', 1100), ('B-7', 800);
      insert into bookings (berth_id, boat, night)
      select id, 'Curlew', date '2026-07-01' + night from berths, generate_series(0, 13) night where code = 'B-7'`,
    logIn: {
      path: '/login',
      admin: { name: 'Ana', password: PASSWORD },
      other: { name: 'Rui', password: PASSWORD },
      console: '/console/',
      api: '/api',
    },
    act: {
      path: '/bookings',
      body: (n) => ({
        berth: 'A-12',
        boat: `Tern ${n}`,
        night: `2026-08-${String(n).padStart(2, '0')}`,
      }),
    },
    env: { SESSION_SECRET },
  },
  {
    name: 'beacon',
    heading: 'pg alone, without a framework',
    kind: 'npm, ESM, pg, no framework, node:test',
    prepare: ['npm install', 'npm run db:migrate'],
    check: 'npx tsc --noEmit --skipLibCheck false',
    test: 'npm test',
    start: 'npm start',
    cli: 'npx roundsman',
    update: 'npm install roundsman@next @roundsman/engine@next @roundsman/fastify@next',
    seed: `insert into subscribers (email) select 'reader' || n || '@example.com' from generate_series(1, 50) n`,
    logIn: null,
    act: { path: '/subscribers', body: (n) => ({ email: `new${n}@example.com` }) },
    env: { BEACON_KEY: 'the key of the beacon' },
  },
  {
    name: 'pantry',
    heading: 'Drizzle and Express',
    kind: 'npm, ESM, Drizzle, Express, node:test',
    prepare: ['npm install', 'npm run db:migrate'],
    check: 'npx tsc --noEmit --skipLibCheck false',
    test: 'npm test',
    start: 'npm start',
    cli: 'npx roundsman',
    update: 'npm install roundsman@next @roundsman/engine@next @roundsman/fastify@next',
    seed: `
      insert into cooks (name, password, is_chef) values ('Ines', '${HASH}', true), ('Teo', '${HASH}', false);
      insert into items (name, amount, best_before) select 'Jar ' || n, n, date '2030-01-01' + n from generate_series(1, 50) n`,
    logIn: {
      path: '/login',
      admin: { name: 'Ines', password: PASSWORD },
      other: { name: 'Teo', password: PASSWORD },
      console: '/console/',
      api: '/api',
    },
    act: {
      path: '/items',
      body: (n) => ({ name: `Tin ${n}`, amount: n, bestBefore: '2031-01-01' }),
    },
    env: { SESSION_SECRET },
  },
]
