/**
 * Characters that could forge other text on a terminal or a page: controls, lone surrogates, and characters that reverse or break
 * lines. A line feed is none of them: the caller decides whether a text may have lines.
 */
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu

/** Replaces each unprintable character, which is one UTF-16 code unit. */
export function replaceUnprintable(text: string, replacement: (character: string) => string): string {
  return text.replace(UNPRINTABLE, replacement)
}

/** The index of the first unprintable character; -1 if there is none. */
export function indexOfUnprintable(text: string): number {
  return text.search(UNPRINTABLE)
}
