import { Button, type ButtonProps } from '../../parts/Button.tsx'
import { BulkButton } from '../../actions/ActButton.tsx'
import type { Bulk } from '../../actions/bulk.ts'
import { useBulk } from '../../actions/useAction.ts'
import { DataTable, type DataTableProps } from '../../parts/DataTable.tsx'
import { Menu } from '../../parts/Menu.tsx'
import { SelectionBar } from '../../parts/SelectionBar.tsx'
import { useSelection } from '../../parts/useSelection.ts'

/** What can be done with pieces of work: `Cancel $`, where `$` is how many. */
export interface PieceAct<Piece> extends Pick<ButtonProps, 'look'> {
  what: Bulk['what']
  words: string
  /** Whether for all that match it stands in a menu. */
  isSeldom?: boolean
  /** Whether it changes one that is checked. Default: always. */
  isFor?: (piece: Piece) => boolean
}

/** The actions on all that match, on all pages. They stay where they are while the list gets shorter. */
export function ActsOnAll<Piece>(props: {
  acts: readonly PieceAct<Piece>[]
  all: Omit<Bulk, 'what'>
}) {
  const { acts, all } = props
  const act = useBulk()
  if (act === null) return null
  const number = all.count.toLocaleString('en')
  const listed = acts.map(({ what, words, ...more }) => ({
    ...more,
    label: words.replace('$', `all ${number}`),
    onChoose: () => act({ what, ...all }),
  }))
  return (
    <>
      {listed.map(
        ({ label, look, isSeldom, onChoose }) =>
          isSeldom !== true && (
            <Button key={label} look={look} disabled={all.count === 0} onClick={onChoose}>
              {label}
            </Button>
          ),
      )}
      <Menu
        label="More actions on all that match"
        items={listed.filter(({ isSeldom }) => isSeldom === true && all.count > 0)}
      />
    </>
  )
}

interface PiecesProps<Piece> extends Pick<
  DataTableProps<Piece>,
  'caption' | 'columns' | 'rows' | 'nameOf'
> {
  acts: readonly PieceAct<Piece>[]
  /** What is listed: when it changes, none is checked any more. */
  scope: string
  /** What those are that are checked. */
  about: (checked: readonly Piece[]) => string
}

/** The rows, and the actions on those that are checked. */
export function Pieces<Piece extends { workId: string }>(props: PiecesProps<Piece>) {
  const { acts, scope, about, ...table } = props
  const selection = useSelection(
    table.rows.map(({ workId }) => workId),
    scope,
  )
  const mayAct = useBulk() !== null
  const checked = table.rows.filter(({ workId }) => selection.has(workId))
  const of = {
    count: checked.length,
    about: about(checked),
    which: { ids: selection.keys() },
  }
  return (
    <>
      {mayAct && (
        <SelectionBar selection={selection}>
          {acts.map(
            ({ what, words, look, isFor }) =>
              (isFor === undefined || checked.some(isFor)) && (
                <BulkButton key={what} look={look} bulk={{ what, ...of }}>
                  {words.replace('$', `${of.count}`)}
                </BulkButton>
              ),
          )}
        </SelectionBar>
      )}
      <DataTable {...table} keyOf={({ workId }) => workId} {...(mayAct && { selection })} />
    </>
  )
}
