import { useEffect, useState } from 'preact/hooks'
import { ago, moment } from '../data/format.ts'

const REFRESH_MS = 30_000

/** A time as "3 minutes ago", which grows by itself. @param unixSeconds as the author claims: any number */
export function Ago({ unixSeconds }: { unixSeconds: number }) {
  const [nowMs, setNowMs] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), REFRESH_MS)
    return () => clearInterval(timer)
  }, [])
  return <time title={moment(unixSeconds)}>{ago(unixSeconds, Math.max(nowMs, Date.now()))}</time>
}
