import { userInfo } from 'node:os'

/** The name that is recorded with a command's actions. In a container the account may be a number without a name. */
export function currentUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.()}`
  }
}
