import { useEffect, useRef } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { parseAvatar, profileOf, type StateEntry } from '../../client/index.ts'
import { AvatarHeader } from '../parts/avatar-header.tsx'
import { Loading, Notice } from '../parts/notice.tsx'
import { Checking, StatusArea } from '../parts/status-area.tsx'
import { useApp } from '../data/app-context.ts'
import { shortHex } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'
import { useAvatar, type AvatarView } from '../data/use-avatar.ts'
import { setTitle } from '../data/use-route.ts'
import { avatarHref, AVATAR_TABS, type AvatarTab } from '../routes.ts'
import { DataView } from './data-view.tsx'
import { EditView } from './edit-view.tsx'
import { HistoryView } from './history-view.tsx'
import { MoveView } from './move-view.tsx'

const TAB_NAMES: Readonly<Record<AvatarTab, string>> = {
  data: 'Data',
  history: 'History',
  edit: 'Edit',
  move: 'Move',
}

interface Props {
  readonly avatar: string
  readonly tab: AvatarTab
  readonly focus: URLSearchParams
}

export function AvatarPage({ avatar: text, tab, focus }: Props) {
  let avatar: string
  try {
    avatar = parseAvatar(text)
  } catch (error) {
    return (
      <>
        <h1>No such avatar</h1>
        <Notice tone="bad" title="The address of this page names no avatar">
          <p>{messageOf(error)}</p>
          <p>
            <a href="#/">Search for an avatar</a> instead.
          </p>
        </Notice>
      </>
    )
  }
  return <KnownAvatar key={avatar} avatar={avatar} tab={tab} focus={focus} />
}

function KnownAvatar({ avatar, tab, focus }: Props) {
  const { session } = useApp()
  const view = useAvatar(session, avatar)
  const current = useRef<HTMLAnchorElement>(null)
  const profile = profileOf(namespacesOf(view).find(({ platform }) => platform === 'nextid')?.content)
  // Only what was checked names the page: titles stay in the history of the browser.
  const title =
    view.phase === 'ready' && profile.name !== null ? `${visible(profile.name)} (${shortHex(avatar)})` : 'Avatar'
  useEffect(() => setTitle(title), [title])
  useEffect(() => {
    current.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [tab])
  return (
    <>
      <AvatarHeader avatar={avatar} profile={profile} isCompact={tab === 'edit'} />
      <div class="standing">
        {view.phase === 'loading' && <Checking {...view} hasContent={view.claimed !== undefined} />}
        <StatusArea avatar={avatar} view={view} isCompact={tab === 'edit'} />
        {view.phase === 'ready' && <span class={`live ${view.connection}`}>{LIVE[view.connection]}</span>}
      </div>
      <nav class="tabs" aria-label="Parts of this avatar">
        {AVATAR_TABS.map((each) => (
          <a
            key={each}
            href={avatarHref(avatar, each)}
            aria-current={each === tab ? 'page' : undefined}
            ref={each === tab ? current : null}
          >
            {TAB_NAMES[each]}
          </a>
        ))}
      </nav>
      <p class="visually-hidden" aria-live="polite">
        {view.phase === 'ready' ? view.news : ''}
      </p>
      {/* One place: what was not checked yet is replaced there, and what is open stays open. */}
      {tab === 'data' && hasContent(view) && (
        <DataView
          avatar={avatar}
          namespaces={namespacesOf(view)}
          known={view.phase === 'ready' ? view.known : undefined}
        />
      )}
      {view.phase === 'loading' && !(tab === 'data' && hasContent(view)) && <Loading what="Reading this avatar" />}
      {view.phase === 'ready' && (
        <>
          {tab === 'history' && (
            <HistoryView
              known={view.known}
              arrived={view.arrived}
              chosen={focus.get('record')}
              filter={focus.get('key') ?? ''}
            />
          )}
          {tab === 'edit' && <EditView key={focus.get('again') ?? ''} view={view} focus={focus} />}
          {tab === 'move' && <MoveView avatar={avatar} known={view.known} />}
        </>
      )}
    </>
  )
}

const LIVE: Readonly<Record<Extract<AvatarView, { phase: 'ready' }>['connection'], string>> = {
  connecting: 'connecting…',
  live: 'live',
  lost: 'offline',
}

function hasContent(view: AvatarView): boolean {
  return view.phase === 'ready' || (view.phase === 'loading' && view.claimed !== undefined)
}

/** What is shown: the content that was checked, or what the host says while it is being checked. */
function namespacesOf(view: AvatarView): readonly StateEntry[] {
  if (view.phase === 'ready') return view.known.namespaces
  return view.phase === 'loading' ? (view.claimed ?? []) : []
}
