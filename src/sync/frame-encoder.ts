import { concatBytes } from '@noble/hashes/utils.js'

import type { Bound } from '../negentropy/types.ts'
import { encodeBatch } from '../record/codec.ts'
import { bytesField, messageField, numberField } from '../record/protobuf.ts'
import { KINDS, REFUSALS, type Frame, type FrameList } from './frame-types.ts'

export function encodeFrame(frame: Frame): Uint8Array {
  return messageField(KINDS.indexOf(frame.kind) + 1, encodeBody(frame))
}

function encodeBody(frame: Frame): Uint8Array {
  switch (frame.kind) {
    case 'hello':
      return concatBytes(
        numberField(1, frame.version),
        bytesField(2, new TextEncoder().encode(frame.network)),
        numberField(3, frame.purpose === 'fetch' ? 1 : 0),
        ...encodeList(4, frame.list),
        numberField(5, frame.count),
        bytesField(6, frame.opening),
        ...(frame.mark === null ? [] : [messageField(7, encodeBound(frame.mark))]),
      )
    case 'welcome':
      return concatBytes(
        numberField(1, frame.count),
        numberField(2, frame.below),
        bytesField(3, frame.answer),
        ...encodeList(4, frame.list),
        bytesField(5, frame.common),
        bytesField(6, frame.differing),
      )
    case 'refusal':
      return numberField(1, REFUSALS.indexOf(frame.code))
    case 'reconcile':
      return concatBytes(numberField(1, frame.pass), bytesField(2, frame.message), bytesField(3, frame.subset))
    case 'reconciled':
      return concatBytes(numberField(1, frame.pass), bytesField(2, frame.message))
    case 'bulk':
      return messageField(1, encodeBound(frame.from))
    case 'request':
      return bytesField(1, frame.ids)
    case 'records':
      return encodeBatch(frame.records)
    case 'delivered':
      return bytesField(1, frame.missing)
    case 'taken':
      return concatBytes(
        ...frame.refused.map(({ id, retrySeconds }) =>
          messageField(1, concatBytes(bytesField(1, id), numberField(2, retrySeconds))),
        ),
      )
  }
}

function encodeList(field: number, list: FrameList | null): Uint8Array[] {
  if (list === null) return []
  return [messageField(field, concatBytes(bytesField(1, list.avatars), bytesField(2, list.fingerprints)))]
}

function encodeBound({ timestamp, id }: Bound): Uint8Array {
  return concatBytes(numberField(1, timestamp), bytesField(2, id))
}
