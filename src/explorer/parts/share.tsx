import { encode } from 'uqr'
import { useEffect, useRef, useState } from 'preact/hooks'
import { here } from '../data/here.ts'
import { avatarHref } from '../routes.ts'
import { Copy } from './hex.tsx'
import { Icon } from './icon.tsx'

/** A text as a QR code, for a phone. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { data, size } = encode(text, { ecc: 'L', border: 3 })
  const path = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join('')
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <path d={path} fill="#000000" />
    </svg>
  )
}

/** Opens a window with a link to an avatar, and its QR code. */
export function Share({ avatar, name }: { avatar: string; name: string }) {
  const [isOpen, setIsOpen] = useState(false)
  const dialog = useRef<HTMLDialogElement>(null)
  const link = `${here()}/${avatarHref(avatar)}`
  useEffect(() => {
    if (isOpen) dialog.current?.showModal()
  }, [isOpen])
  return (
    <>
      <button type="button" class="small" onClick={() => setIsOpen(true)}>
        <Icon name="qr" /> Share
      </button>
      {isOpen && (
        <dialog ref={dialog} aria-label={`Share ${name}`} onClose={() => setIsOpen(false)}>
          <div class="section-head">
            <h2>
              Share <bdi class="name">{name}</bdi>
            </h2>
            <button type="button" class="icon-button quiet" aria-label="Close" onClick={() => dialog.current?.close()}>
              <Icon name="close" />
            </button>
          </div>
          <QrCode text={link} label={`QR code of ${link}`} />
          <p>
            <code>{link}</code> <Copy text={link} label="Copy the link" />
          </p>
          {'share' in navigator && (
            <p class="actions">
              <button type="button" onClick={() => void navigator.share({ title: name, url: link }).catch(() => {})}>
                Send it to an app
              </button>
            </p>
          )}
        </dialog>
      )}
    </>
  )
}
