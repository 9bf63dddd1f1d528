import { useEffect, useRef } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'
import { parseAvatar } from '../../client/index.ts'
import { Compare } from '../parts/compare.tsx'
import { Hex } from '../parts/hex.tsx'
import { Loading, Notice } from '../parts/notice.tsx'
import { StatusArea } from '../parts/status-area.tsx'
import { useApp } from '../data/app-context.ts'
import { useAvatar } from '../data/use-avatar.ts'
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
  useEffect(() => {
    current.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [tab])
  return (
    <>
      <h1 class="avatar-title">
        Avatar <Hex value={avatar} label="avatar" />
      </h1>
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
      {view.phase === 'loading' && (
        <Loading
          what={view.total === 0 ? 'Fetching records' : 'Checking signatures:'}
          done={view.done}
          total={view.total}
        />
      )}
      <StatusArea avatar={avatar} view={view} isCompact={tab === 'edit'} />
      {view.phase === 'ready' && (
        <>
          {tab === 'data' && <DataView view={view} />}
          {tab === 'history' && <HistoryView known={view.known} arrived={view.arrived} chosen={focus.get('record')} />}
          {tab === 'edit' && <EditView key={focus.get('again') ?? ''} view={view} focus={focus} />}
          {tab === 'move' && <MoveView avatar={avatar} known={view.known} />}
          <Compare />
        </>
      )}
    </>
  )
}
