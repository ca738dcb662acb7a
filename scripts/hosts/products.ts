import { scryptSync } from 'node:crypto'

/** A product in products/ that knows nothing of Roundsman, and how people use it. */
export interface Product {
  /** The name of its folder. */
  name: string
  /** The page, and the heading there, under which stands what is done to it. */
  page: string
  heading: string
  /** What kind of product it is, for the usage. */
  kind: string
  /** Commands that install its packages, build it and make its own tables. */
  prepare: readonly string[]
  /** Lists its type errors, those of its packages included. */
  check: string
  test: string
  /** Starts its server, before and after adopting. */
  start: string
  /** How it calls the command line, and how it installs the next version. */
  cli: string
  update: string
  /** How else it is built and started, once it has Roundsman. Nothing of it is running then. */
  production?: readonly {
    what: string
    /** A page whose files are written first. */
    page?: string
    build: readonly string[]
    start: readonly string[]
    /** Puts back what the build has moved. */
    after: string
  }[]
  /** Adds the rows that it has when it is adopted, with an admin and somebody who is none. */
  seed: string
  /** How an admin and somebody else log in, which sets a session's headers. */
  logIn: {
    path: string
    admin: object
    other: object
    /** Where the page says to serve the console, and the beginning of its API's addresses. */
    console: string
    api: string
  }
  /** A request upon which it enqueues work in its own transaction. */
  act: { path: string; body: (n: number) => object }
  env: Record<string, string>
}

const SESSION_SECRET = 'a secret of the product, of more than thirty-two characters'
const PASSWORD = 'correct horse battery staple'
const HASH = scryptSync(PASSWORD, SESSION_SECRET, 32).toString('hex')

export const PRODUCTS: readonly Product[] = [
  {
    name: 'helpdesk',
    page: 'docs/frameworks/fastify.md',
    heading: 'One package, npm, CommonJS',
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
      console: '/console/',
      api: '/api',
      admin: { email: 'admin@example.com', password: PASSWORD },
      other: { email: 'agent@example.com', password: PASSWORD },
    },
    act: {
      path: '/tickets',
      body: (n) => ({ subject: `Help ${n}`, from: 'customer@example.com' }),
    },
    env: { SESSION_SECRET },
  },
  {
    name: 'shelf',
    page: 'docs/recipes/nextjs.md',
    heading: 'Into your product',
    kind: 'pnpm, Next.js of create-next-app, Drizzle over postgres.js, vitest',
    prepare: [
      `npx --yes create-next-app@16.4.3 made --empty --ts --app --no-src-dir --import-alias '@/*' --no-linter --no-tailwind --no-react-compiler --no-agents-md --use-pnpm --skip-install --disable-git`,
      'cp -rn made/. . && rm -rf made',
      `node -e "const fs = require('node:fs'); const { scripts, ...made } = require('./package.json'); scripts.test = 'vitest run'; fs.writeFileSync('package.json', JSON.stringify({ scripts, ...made }, null, 2) + '\\n')"`,
      'pnpm add drizzle-orm@^0.45.0 postgres@^3.4.0',
      'pnpm add --save-dev vitest@^5.0.0',
      'node scripts/migrate.mjs',
      'pnpm exec next typegen',
    ],
    check: 'pnpm exec tsc --noEmit',
    test: 'pnpm test',
    start: 'pnpm exec next dev',
    production: [
      {
        what: 'webpack',
        build: ['pnpm exec next build --webpack', 'pnpm worker:build'],
        start: ['pnpm exec next start', 'node .roundsman/worker.mjs'],
        after: 'true',
      },
      {
        what: 'worker in the server',
        page: 'docs/frameworks/instrumentation.md',
        build: ['pnpm exec next build'],
        start: ['env NEXT_MANUAL_SIG_HANDLE=true pnpm exec next start'],
        after: 'rm instrumentation.ts lib/jobs/startJobs.ts',
      },
      {
        what: 'standalone, by Turbopack',
        build: [
          `sed -i "s/^};/  output: 'standalone',\\n};/" next.config.ts`,
          'pnpm exec next build',
          'pnpm worker:build',
          'mkdir image && cp -r .next/standalone/. image && cp -r .next/static image/.next && cp -r .roundsman image',
          // The image has none of these.
          'mkdir away && mv node_modules lib app roundsman.config.ts away',
        ],
        start: ['env -C image node server.js', 'env -C image node .roundsman/worker.mjs'],
        after: 'mv away/* .',
      },
    ],
    cli: 'pnpm roundsman',
    update: 'pnpm add roundsman@next @roundsman/engine@next @roundsman/admin@next',
    seed: `
      insert into readers (name, password, is_librarian) values ('Ana', '${HASH}', true), ('Rui', '${HASH}', false);
      insert into books (title) select 'Book ' || n from generate_series(1, 50) n`,
    logIn: {
      path: '/api/login',
      admin: { name: 'Ana', password: PASSWORD },
      other: { name: 'Rui', password: PASSWORD },
      console: '/admin/jobs/',
      api: '/admin/jobs/api',
    },
    act: { path: '/api/books', body: (n) => ({ title: `New ${n}` }) },
    env: { SESSION_SECRET, NEXT_TELEMETRY_DISABLED: '1' },
  },
  {
    name: 'bakery',
    page: 'docs/frameworks/nuxt.md',
    heading: 'Into your product',
    kind: 'npm, Nuxt, pg, vitest',
    prepare: ['npm install', 'npx nuxt prepare', 'node scripts/migrate.mjs'],
    check: 'npx tsc --noEmit --project .nuxt/tsconfig.server.json',
    test: 'npm test',
    start: 'npx nuxt dev --host 127.0.0.1',
    production: [
      {
        what: 'built',
        build: [
          'npx nuxt build',
          'npm run worker:build',
          // The image has none of these.
          'mkdir away && mv node_modules server app roundsman.config.ts away',
        ],
        start: ['node .output/server/index.mjs', 'node .roundsman/worker.mjs'],
        after: 'mv away/* .',
      },
    ],
    cli: 'npx roundsman',
    update: 'npm install roundsman@next @roundsman/engine@next @roundsman/admin@next',
    seed: `
      insert into bakers (name, password, is_owner) values ('Ana', '${HASH}', true), ('Rui', '${HASH}', false);
      insert into orders (item) select 'Bread ' || n from generate_series(1, 50) n`,
    logIn: {
      path: '/api/login',
      admin: { name: 'Ana', password: PASSWORD },
      other: { name: 'Rui', password: PASSWORD },
      console: '/admin/jobs/',
      api: '/admin/jobs/api',
    },
    act: { path: '/api/orders', body: (n) => ({ item: `Rye ${n}` }) },
    env: { SESSION_SECRET },
  },
]
