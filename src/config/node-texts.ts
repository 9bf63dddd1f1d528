/**
 * Checks what the operator says about the node (`GET /v2/node`). Other people's programs show these texts on terminals and
 * pages, so the node rejects characters that could forge other text there.
 */

import { indexOfUnprintable } from '../platform/unprintable.ts'

/** RFC 5321 mail addresses without quoted parts. */
const MAIL_ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/
/** URLs percent-encode everything else. */
const URL_CHARACTERS = /^[\x21-\x7e]*$/

/** Why a text cannot be the name of a node; undefined if it can. */
export function nameProblem(text: string): string | undefined {
  return text.includes('\n') ? 'the name has a line break' : policyProblem(text)
}

/** Why a text cannot be the policy of a node; undefined if it can. */
export function policyProblem(text: string): string | undefined {
  const at = indexOfUnprintable(text)
  if (at >= 0) {
    const code = text.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0')
    return `the character U+${code} at ${at + 1} is not printable`
  }
  return text !== '' && text.trim() === '' ? 'the text is blank' : undefined
}

/** Why a text cannot be the contact of a node; undefined if it can. */
export function contactProblem(text: string): string | undefined {
  if (text === '' || MAIL_ADDRESS.test(text)) return undefined
  return urlProblem(text, ['https:']) === undefined ? undefined : 'this is neither a mail address nor an https:// URL'
}

/** Why a text cannot be the URL of a database; undefined if it can. The text itself may contain a password. */
export function databaseUrlProblem(text: string): string | undefined {
  if (text === '' || /^postgres(ql)?:\/\/\S+$/.test(text)) return undefined
  return 'the URL of a database begins with postgres:// and has no spaces'
}

/** Why a text cannot be the public URL of a node; undefined if it can. */
export function publicUrlProblem(text: string): string | undefined {
  if (text === '') return undefined
  return (
    urlProblem(text, ['https:', 'http:']) ?? (/[?#]/.test(text) ? 'a query or a fragment is not allowed' : undefined)
  )
}

function urlProblem(text: string, protocols: readonly string[]): string | undefined {
  if (!URL_CHARACTERS.test(text) || !URL.canParse(text)) return 'this is not a URL'
  const { protocol, username, password } = new URL(text)
  if (!protocols.includes(protocol))
    return `the URL must begin with ${protocols.map((each) => `${each}//`).join(' or ')}`
  return username === '' && password === '' ? undefined : 'a user name or password in a URL is not allowed'
}
