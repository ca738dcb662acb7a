import { MAX_LABEL_LENGTH } from '../job/labelWork.ts'

/** The label in an envelope. Anybody may have written it, so it must neither fail a claim nor be longer than a label. */
export const labelOf = (envelope: string) => `left(${envelope} ->> 'label', ${MAX_LABEL_LENGTH})`

const MAX_SHOWN_BYTES = 16_384

export const shownOf = (envelope: string) => `
  case when jsonb_typeof(${envelope} -> 'shown') = 'object' and pg_column_size(${envelope} -> 'shown') <= ${MAX_SHOWN_BYTES}
    then ${envelope} -> 'shown' end`
