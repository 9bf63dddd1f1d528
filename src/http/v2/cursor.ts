/** Cursors: positions in the order of arrival at one store. */
const CURSOR = /^([0-9a-f]{16})-(0|[1-9]\d{0,15})$/

/** Returns `<epoch>-<sequence>`; clients treat it as opaque. */
export function formatCursor(epoch: string, sequence: number): string {
  return `${epoch}-${sequence}`
}

/** Returns undefined if the text is not a cursor. */
export function parseCursor(text: string) {
  const match = CURSOR.exec(text)
  const sequence = Number(match?.[2])
  return match?.[1] !== undefined && Number.isSafeInteger(sequence) ? { epoch: match[1], sequence } : undefined
}
