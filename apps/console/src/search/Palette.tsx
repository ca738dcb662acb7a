import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useNavigate, type NavigateOptions } from '@tanstack/react-router'
import { useEffect, useId, useState, type KeyboardEvent } from 'react'
import { useAction } from '../actions/useAction.ts'
import { jobsQuery, searchQuery } from '../api/queries.ts'
import { Dialog } from '../parts/Dialog.tsx'
import { StatusMark } from '../parts/StatusMark.tsx'
import { useClock } from '../services/useClock.ts'
import { useServices } from '../services/useServices.ts'
import { formatRelative } from '../parts/Moment.tsx'
import { paletteGroups, type PaletteEntry } from './paletteGroups.ts'

/** Shorter texts match too much. */
const MIN_SEARCHED = 2
const MAX_SEARCHED = 200
const SETTLE_MS = 150

/** One box for all that people look for: a combobox whose list has pages, jobs, what the server finds, and actions. */
export function Palette({ onClose }: { onClose: () => void }) {
  const { api } = useServices()
  const navigate = useNavigate()
  const act = useAction()
  const listId = useId()
  const [text, setText] = useState('')
  const [chosen, setChosen] = useState(0)
  const wanted = useSettled(text.trim())
  const isSearched = wanted.length >= MIN_SEARCHED
  const jobs = useQuery(jobsQuery(api))
  const search = useQuery({
    ...searchQuery(api, wanted),
    enabled: isSearched,
    placeholderData: keepPreviousData,
  })
  const groups = paletteGroups({
    text,
    jobs: jobs.data?.jobs ?? [],
    mayAct: act !== null,
    found: isSearched ? (search.data ?? null) : null,
  })
  const entries = groups.flatMap((group) => group.entries)
  const active = Math.min(chosen, entries.length - 1)
  const optionId = (index: number) => `${listId} ${index}`.replaceAll(' ', '-')

  const activeId = optionId(active)
  useEffect(() => {
    document.getElementById(activeId)?.scrollIntoView({ block: 'nearest' })
  }, [activeId])

  function choose({ target }: PaletteEntry): void {
    onClose()
    if ('action' in target) act?.(target.action)
    else void navigate(target.link as NavigateOptions)
  }

  function readKey(event: KeyboardEvent): void {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step !== 0 && entries.length > 0) {
      event.preventDefault()
      setChosen((active + step + entries.length) % entries.length)
      return
    }
    const entry = entries[active]
    if (event.key !== 'Enter' || entry === undefined) return
    event.preventDefault()
    choose(entry)
  }

  const isLooking = isSearched && search.isFetching
  return (
    <Dialog title="Search" isPalette onClose={onClose}>
      <input
        type="text"
        role="combobox"
        aria-label="Search"
        aria-autocomplete="list"
        aria-expanded={entries.length > 0}
        aria-controls={listId}
        {...(entries.length > 0 && { 'aria-activedescendant': activeId })}
        className="paletteInput"
        placeholder="Jobs, keys, labels, waiting work, runs, errors, workers, actions"
        value={text}
        maxLength={MAX_SEARCHED}
        autoComplete="off"
        spellCheck={false}
        onChange={({ target }) => {
          setText(target.value)
          setChosen(0)
        }}
        onKeyDown={readKey}
      />
      <p role="status" className={entries.length > 0 ? 'srOnly' : 'paletteEmpty'}>
        {isLooking
          ? 'Searching…'
          : search.isError
            ? 'The search did not answer'
            : entries.length === 0
              ? `Nothing matches${search.data?.isCut ? ' among the latest runs' : ''}`
              : `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`}
      </p>
      {entries.length > 0 && (
        <div id={listId} role="listbox" aria-label="Results" className="paletteList">
          {groups.map(({ label, entries: own }) => (
            <div key={label} role="group" aria-label={label}>
              <p aria-hidden="true" className="paletteGroup">
                {label}
              </p>
              {own.map((entry) => {
                const at = entries.indexOf(entry)
                return (
                  // oxlint-disable-next-line jsx-a11y/click-events-have-key-events -- the combobox has the focus and the keys
                  <div
                    key={entry.id}
                    id={optionId(at)}
                    role="option"
                    aria-selected={at === active}
                    className="paletteOption"
                    tabIndex={-1}
                    onPointerMove={() => setChosen(at)}
                    onClick={() => choose(entry)}
                  >
                    <Entry entry={entry} />
                  </div>
                )
              })}
            </div>
          ))}
        </div>
      )}
    </Dialog>
  )
}

function Entry({ entry: { label, detail, outcome, at, isCode } }: { entry: PaletteEntry }) {
  return (
    <>
      <span className="paletteLabel">{isCode ? <code>{label}</code> : label}</span>
      {outcome !== undefined && <StatusMark status={outcome} />}
      {detail !== undefined && <span className="muted small isCut">{detail}</span>}
      {at !== undefined && (
        <span className="muted small paletteAt">
          <Ago at={at} />
        </span>
      )}
    </>
  )
}

function Ago({ at }: { at: string }) {
  return useClock((now) => formatRelative(Date.parse(at), now, false))
}

/** The text, once it has not changed for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SETTLE_MS)
    return () => clearTimeout(timer)
  }, [text])
  return settled
}
