/** Writes `100,000`, or `over 100,000` where counting has stopped there. The server does so in its sentences. */
export const counted = (value: number, isCut = false) =>
  `${isCut ? 'over ' : ''}${value.toLocaleString('en')}`

export const Count = (props: { value: number; isCut?: boolean }) =>
  counted(props.value, props.isCut)

/** The server lists no more workers. */
export const MAX_LISTED_WORKERS = 1_000
