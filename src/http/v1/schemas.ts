import Type from 'typebox'
import type { Static } from 'typebox'

import { AnyJsonObject, AvatarText, IdentityText, nullable, object, PlatformText } from '../lib/schemas.ts'

/** `null` counts as missing, as on the original servers of these clients. */
const OptionalAvatar = Type.Optional(nullable(AvatarText))

const subject = {
  avatar: OptionalAvatar,
  persona: OptionalAvatar,
  platform: PlatformText,
  identity: IdentityText,
  patch: AnyJsonObject,
}

export const PayloadRequest = object(subject, 'PayloadRequest')
export type PayloadRequest = Static<typeof PayloadRequest>

export const PayloadAnswer = object(
  {
    uuid: Type.String(),
    created_at: Type.Integer({ description: 'Unix seconds.' }),
    sign_payload: Type.String({ description: 'The text to sign, unchanged, with `personal_sign` (EIP-191).' }),
  },
  'PayloadAnswer',
)

export const WriteRequest = object(
  {
    ...subject,
    uuid: Type.String({
      pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
      description: 'As issued with the payload.',
    }),
    created_at: Type.Union([Type.Integer({ minimum: 0 }), Type.String({ pattern: '^[0-9]{1,15}$' })], {
      description: 'As issued with the payload.',
    }),
    signature: Type.String({
      minLength: 1,
      maxLength: 256,
      description: '64 bytes r ‖ s, or 65 with v (0, 1, 27 or 28), in base64, or as `0x` and hexadecimal.',
    }),
  },
  'WriteRequest',
)
export type WriteRequest = Static<typeof WriteRequest>

export const KvQuery = object({ avatar: Type.Optional(AvatarText), persona: Type.Optional(AvatarText) })

const uncompressed = Type.String({ description: '`0x` and the uncompressed key.' })

export const KvAnswer = object(
  {
    persona: uncompressed,
    avatar: uncompressed,
    proofs: Type.Array(object({ platform: Type.String(), identity: Type.String(), content: AnyJsonObject })),
  },
  'Kv',
)

export const ByIdentityQuery = object({ platform: PlatformText, identity: IdentityText })

export const ByIdentityAnswer = object(
  { values: Type.Array(object({ avatar: uncompressed, content: AnyJsonObject })) },
  'ByIdentity',
)
