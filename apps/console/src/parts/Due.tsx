import { Moment, type MomentProps } from './Moment.tsx'

/** When waiting work is due. What waits for a person or for other work waits for no instant: its date is the last there is. */
export function Due({ at, ...props }: Pick<MomentProps, 'at' | 'isInControl'>) {
  return at >= '9999' ? <>when a step ends</> : <Moment at={at} isToCome {...props} />
}
