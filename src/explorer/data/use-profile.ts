import { useEffect, useState } from 'preact/hooks'
import { profileOf, type Profile } from '../../client/profile.ts'
import { readNamed } from './overview.ts'

export const NO_PROFILE: Profile = profileOf(undefined)

/** The profile of an avatar as the host shows it, not verified; undefined until it is known. */
export function useProfile(avatar: string | undefined): Profile | undefined {
  const [profile, setProfile] = useState<Profile | undefined>(undefined)
  useEffect(() => {
    setProfile(undefined)
    if (avatar === undefined) return
    const stop = new AbortController()
    readNamed([avatar], stop.signal)
      .then((found) => setProfile(found.get(avatar)?.profile))
      // Without it the key is shown.
      .catch(() => {})
    return () => stop.abort()
  }, [avatar])
  return profile
}
