/**
 * The console's files by name, each compressed by gzip and written in base64. Null in this repository, whose build lies in a
 * folder: `scripts/release/packPublished.ts` puts the files in their place.
 */
export const embeddedFiles: Readonly<Record<string, string>> | null = null
