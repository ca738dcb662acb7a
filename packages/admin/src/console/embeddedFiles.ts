/**
 * The console's files by name, each compressed by gzip and written in base64. Null in this repository, whose build is a folder:
 * `scripts/release/packPublished.ts` inserts the files.
 */
export const embeddedFiles: Readonly<Record<string, string>> | null = null
