/**
 * Characters that change how others are shown, and what is not seen at all: controls and formats (Unicode's categories Cc, Cf,
 * Zl, Zp: writing direction, joiners, tags) but for the line feed; and letters, marks and variants that are drawn as nothing
 * of their own. What makes one emoji of several, or colours one, is seen, and stays.
 */
const UNSEEN =
  /(?!\n|(?<=\p{ExtPict}\p{EMod}?)\ufe0f|(?<=\p{ExtPict}\p{EMod}?\ufe0f?)\u200d(?=\p{ExtPict}))[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Variation_Selector}\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0\ufff0-\ufff8]/gu

/** Text in which nothing hides: such characters are written as JSON writes them, `\u202e`. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (each) => each.split('').map(escaped).join(''))
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
