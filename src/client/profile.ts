/** How an avatar presents itself (docs/protocol.md, "Profiles"). The owner may write anything: what breaks the form is left out. */
import { utf8Length } from '../record/order.ts'
import type { JsonObject, JsonValue } from '../record/types.ts'

/** The member of the avatar's own content that has the profile. */
export const PROFILE_KEY = 'org.avatar-kv.profile'

const MAX_NAME_BYTES = 256
const MAX_BIO_BYTES = 4_096
const MAX_PICTURE_CHARACTERS = 64 * 1024
const MAX_LINKS = 16
const MAX_URL_CHARACTERS = 2_048

/** Raster images alone: an SVG is a program for the reader to draw, of any cost. */
const PICTURE = /^data:image\/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/]+={0,2}$/
/** Controls, line and paragraph separators, and what changes the direction of text beyond its own end. */
const HIDDEN = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u
/** More marks on one letter than a language needs: they are drawn over the lines around it. */
const STACKED_MARKS = /\p{M}{5}/u

/** A link that the avatar lists. Show its address beside the title: the title may name another. */
export interface ProfileLink {
  readonly title: string
  /** An `https:` address. */
  readonly url: string
}

/** A profile in which every value has a bound. Show a name with the avatar's key beside it: anyone can take any name. */
export interface Profile {
  /** One line of at most 256 bytes; null if there is none. */
  readonly name: string | null
  /** At most 4,096 bytes, with line feeds; null if there is none. */
  readonly bio: string | null
  /**
   * A `data:` URL of a PNG, JPEG, GIF, WebP or AVIF of at most 64 KiB, or an `https:` URL. Load the latter only if the reader asks for
   * that: its server learns who looks. Null if there is none.
   */
  readonly picture: string | null
  /** At most 16. */
  readonly links: readonly ProfileLink[]
}

/**
 * Returns the profile in an avatar's own content (that of the platform `nextid`). Values that break the form are left out.
 *
 * @param content undefined for an avatar without one
 */
export function profileOf(content: JsonObject | undefined): Profile {
  const { name, bio, picture, links } = membersOf(content && own(content, PROFILE_KEY))
  return {
    name: line(name),
    bio: text(bio, MAX_BIO_BYTES),
    picture: typeof picture === 'string' && isPicture(picture) ? picture : httpsUrl(picture),
    links: Array.isArray(links) ? links.slice(0, MAX_LINKS).flatMap(linkOf) : [],
  }
}

function linkOf(value: JsonValue): ProfileLink[] {
  const { title, url } = membersOf(value)
  const address = httpsUrl(url)
  return address === null ? [] : [{ title: line(title) ?? address, url: address }]
}

function membersOf(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}

/** A content may have a member of any name, such as `constructor`. */
function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function isPicture(value: string): boolean {
  return value.length <= MAX_PICTURE_CHARACTERS && PICTURE.test(value)
}

function line(value: JsonValue | undefined): string | null {
  const name = text(value, MAX_NAME_BYTES)
  return name === null || name.includes('\n') ? null : name
}

function text(value: JsonValue | undefined, maxBytes: number): string | null {
  if (typeof value !== 'string' || value.length > maxBytes) return null
  const trimmed = value.trim()
  const isPlain = !HIDDEN.test(trimmed.replaceAll('\n', '')) && !STACKED_MARKS.test(trimmed.normalize('NFD'))
  return trimmed === '' || utf8Length(trimmed) > maxBytes || !isPlain ? null : trimmed
}

/** As the URL standard writes it, without a user name: `https://bank.example@evil.example` looks like another host. */
function httpsUrl(value: JsonValue | undefined): string | null {
  if (typeof value !== 'string' || value.length > MAX_URL_CHARACTERS) return null
  if (!/^https:\/\//i.test(value) || !URL.canParse(value)) return null
  const { href, username, password } = new URL(value)
  return username === '' && password === '' && href.length <= MAX_URL_CHARACTERS ? href : null
}
