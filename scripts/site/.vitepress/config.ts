import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { defineConfig, type DefaultTheme, type MarkdownEnv, type MarkdownRenderer } from 'vitepress'
import llmstxt from 'vitepress-plugin-llms'
import { checkSearch } from '../checkSearch.ts'

const ROOT = join(import.meta.dirname, '../../..')

const linkedFiles = new Set<string>()

/** The order of the pages. What is not here is found by a link or the search. */
const SIDEBAR: DefaultTheme.SidebarItem[] = [
  group('Start', [
    page('README', 'What it is'),
    page('docs/quickStart'),
    page('docs/questions'),
    page('docs/recipes/nextjs'),
    page('docs/frameworks/nuxt'),
    page('docs/frameworks/fastify'),
    page('docs/frameworks/express'),
    page('docs/frameworks/nest'),
    page('docs/recipes/fetchHandlers'),
    page('docs/frameworks/node', 'Node alone'),
    page('docs/adopting', 'What all of them need'),
    page('docs/testing'),
  ]),
  group(
    'Concepts',
    [
      ...[
        'job',
        'work',
        'run',
        'schedule',
        'retry',
        'uniqueKey',
        'limits',
        'batch',
        'steps',
        'guard',
      ],
      ...['claim', 'drain', 'isolation'],
    ].map((name) => page(`docs/concepts/${name}`)),
    [page('docs/glossary')],
  ),
  group('Recipes', [
    page('docs/recipes/transactionalEmail', 'Transactional e-mail'),
    page('docs/recipes/nightlyCleanup', 'Nightly clean-up'),
    page('docs/recipes/importWithProgress', 'Import with progress'),
    page('docs/recipes/longExport', 'Long export'),
    page('docs/recipes/drip', 'Letters over weeks'),
    page('docs/recipes/saga', 'All or nothing (saga)'),
    page('docs/recipes/paymentInDoubt', 'Payment in doubt'),
    page('docs/recipes/approval', 'Wait for a person'),
    page('docs/recipes/webhookIn', 'Wait for a webhook'),
    page('docs/recipes/importRows', 'Ten thousand rows'),
    page('docs/recipes/agentLoop', 'Agent with tools'),
    page('docs/recipes/rateLimitedApi', 'API that has limits'),
    page('docs/recipes/oneAccount', 'Several jobs, one account'),
    page('docs/recipes/tenants', 'Many tenants'),
    page('docs/recipes/customerSchedules', 'Customers’ schedules'),
    page('docs/recipes/serverless', 'Serverless functions'),
    page('docs/frameworks/vercel', 'Vercel and Cloudflare'),
    page('docs/frameworks/instrumentation', 'Worker in Next.js'),
    page('docs/frameworks/otherOrms'),
  ]),
  group(
    'Coming from',
    readPages('docs/comingFrom').map((path) =>
      page(path, titleOf(path).replace(/^Coming from /, '')),
    ),
  ),
  group('Running it', [
    page('docs/upgrading'),
    page('docs/deploys'),
    page('docs/observability'),
    page('docs/frameworks/sentry'),
    page('docs/frameworks/openTelemetry'),
    page('docs/runbook'),
    page('docs/scaling'),
    page('docs/timeZones'),
    page('CHANGELOG'),
    page('SECURITY'),
  ]),
  group('Reference', [
    ...['engine', 'admin', 'fastify', 'cli', 'sweep', 'local-postgres'].map((name) =>
      page(`docs/reference/${name}`, titleOf(`docs/reference/${name}`).replace(': reference', '')),
    ),
    page('packages/admin/README', 'Console: options'),
    page('packages/cli/README', 'Command line'),
    page('docs/reference/commands', 'Commands: options'),
    page('docs/commands', 'Commands in detail'),
    page('docs/agents'),
  ]),
  group('How far it goes', [
    page('docs/guarantees'),
    page('docs/architecture'),
    page('reports/bench', 'Measurements'),
    page('reports/chaos', '300 kills'),
  ]),
  group('Working on it', [
    page('CONTRIBUTING'),
    ...['environment', 'mail', 'releasing'].map((name) => page(`docs/${name}`)),
    {
      ...group(
        'Decisions',
        readPages('docs/adr').map((path) => page(path)),
      ),
      collapsed: true,
    },
  ]),
]

/** Functions here are sent to the browser as text, so all that they need stands in them. */
const SEARCH = {
  options: {
    processTerm: (term: string) =>
      /^(a|an|and|are|at|be|by|do|does|for|how|i|in|is|it|my|of|on|or|the|to|what|when|with)$/i.test(
        term,
      )
        ? null
        : term.toLowerCase(),
  },
  searchOptions: {
    // First pages for users, last pages for contributors.
    boostDocument: (id: string) =>
      /concepts/.test(id)
        ? 6
        : /recipes|frameworks|adopting|questions|quickStart|testing|timeZones|runbook|observability|scaling/.test(
              id,
            )
          ? 3
          : /reports|adr|[A-Z]{8}|guarantees|architecture|agents|environment|docs\/commands/.test(
                id,
              )
            ? 0.2
            : 1,
  },
}

// The repository is the root of the pages, so that a link holds here and on the repository's own page alike.
export default defineConfig({
  srcDir: '../..',
  srcExclude: ['**/node_modules/**', '**/dist/**', '.changeset/**', '.data/**', 'scripts/**'],
  rewrites: { 'README.md': 'index.md' },
  async buildEnd({ outDir }) {
    for (const file of linkedFiles) cpSync(join(ROOT, file), join(outDir, file))
    await checkSearch(outDir, SEARCH)
  },
  // Where no heading stands beside the text, it has the room.
  transformPageData({ filePath, frontmatter }) {
    const aside = /^##/m.test(readFileSync(join(ROOT, filePath), 'utf8'))
    return { frontmatter: { ...frontmatter, aside } }
  },
  cacheDir: '../../node_modules/.cache/vitepress',
  lang: 'en',
  title: 'Roundsman',
  description: 'A job queue, cron scheduler and durable steps in your PostgreSQL, with a console.',
  head: [
    ['link', { rel: 'icon', href: iconUrl() }],
    ['style', {}, readFileSync(join(import.meta.dirname, 'site.css'), 'utf8')],
  ],
  markdown: {
    // Braces at the end of a line are text.
    attrs: { disable: true },
    config: fitMarkdown,
    anchor: { slugify },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark' },
  },
  vite: {
    publicDir: false,
    // The search's index.
    build: { chunkSizeWarningLimit: 3_000 },
    plugins: [
      // Its types are those of another vite than VitePress has.
      llmstxt({
        stripHTML: false,
        injectLLMHint: false,
        excludeIndexPage: false,
        ignoreFilesPerOutput: { llmsFullTxt: ['reports/**', 'docs/adr/**', 'CHANGELOG.md'] },
        customTemplateVariables: { details: read('docs/agents').replace(/^# .*\n+.*\n+/, '') },
      }) as never,
    ],
  },
  themeConfig: {
    nav: [{ text: 'Get started', link: '/docs/quickStart' }, ...repositoryLink()],
    search: {
      provider: 'local',
      options: {
        detailedView: true,
        miniSearch: SEARCH,
      },
    },
    outline: [2, 3],
    sidebar: SIDEBAR,
    docFooter: { prev: false, next: 'Next' },
  },
})

function group(
  text: string,
  ...items: readonly (readonly DefaultTheme.SidebarItem[])[]
): DefaultTheme.SidebarItem {
  return { text, items: items.flat() }
}

/** A link to the repository, if package.json names it. */
function repositoryLink(): DefaultTheme.NavItem[] {
  const { repository } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    repository?: { url: string }
  }
  const link = repository?.url.replace(/^git\+/, '').replace(/\.git$/, '')
  return link === undefined ? [] : [{ text: 'Repository', link }]
}

/** Throws where there is no such page. */
function page(path: string, text = titleOf(path)): DefaultTheme.SidebarItem {
  return { text, link: path === 'README' ? '/' : `/${path}` }
}

function titleOf(path: string): string {
  return (/^# (.+)$/m.exec(read(path))?.[1] ?? path).replaceAll('`', '')
}

function read(path: string): string {
  return readFileSync(join(ROOT, `${path}.md`), 'utf8')
}

function readPages(folder: string): string[] {
  return readdirSync(join(ROOT, folder)).map((file) => `${folder}/${file.replace(/\.md$/, '')}`)
}

function iconUrl(): string {
  const svg = readFileSync(join(ROOT, 'apps/console/public/icon.svg'), 'utf8')
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}

/** Says above a block which file it is, leads to the first page by its other name, and notes what is linked and is no page. */
function fitMarkdown({ renderer: { rules } }: MarkdownRenderer): void {
  const { fence, link_open: link } = rules
  rules.fence = (tokens, index, ...rest) => {
    const [, file] = /^\w+ ([\w./-]*\.\w+)$/.exec(tokens[index]?.info ?? '') ?? []
    return `${file ? `<p class="file">${file}</p>` : ''}${fence?.(tokens, index, ...rest)}`
  }
  rules.link_open = (tokens, index, options, env: MarkdownEnv, self) => {
    const href = tokens[index]?.attrGet('href') ?? ''
    if (/^(?:\.\.\/)+README\.md$/.test(href)) tokens[index]?.attrSet('href', '/')
    else if (/^[\w./-]+\.(?!md$)\w+$/.test(href)) {
      linkedFiles.add(posix.join(posix.dirname(env.relativePath), href))
    }
    return link?.(tokens, index, options, env, self) ?? ''
  }
}

/** As GitHub makes the anchors of headings, and as `checkDocuments.ts` checks them. */
function slugify(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
