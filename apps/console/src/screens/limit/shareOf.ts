/** A share in percent, rounded down: never rounded up to all, nor down to nothing. */
export function shareOf(part: number, all: number): string {
  const percent = Math.floor((100 * part) / all)
  return percent === 0 && part > 0 ? '< 1 %' : `${percent} %`
}
