import { MAX_LABEL_LENGTH } from '../job/labelWork.ts'

/** Of work, as its envelope has it. That may be somebody else's: what it holds must fail no claim, and not grow. */
export const labelOf = (envelope: string) => `left(${envelope} ->> 'label', ${MAX_LABEL_LENGTH})`

const MAX_SHOWN_BYTES = 16_384

export const shownOf = (envelope: string) => `
  case when jsonb_typeof(${envelope} -> 'shown') = 'object' and pg_column_size(${envelope} -> 'shown') <= ${MAX_SHOWN_BYTES}
    then ${envelope} -> 'shown' end`
