/**
 * Whether a text is of a pattern, in which `*` stands for any characters and `?` for one; upper and lower case are
 * the same. Its cost is bounded by the product of the lengths: a text of a device must not be able to hold us up.
 */
export function matchesGlob(glob: string, text: string): boolean {
  const pattern = [...glob.toLowerCase()]
  const characters = [...text.toLowerCase()]
  let at = 0
  let afterStar = -1
  let restart = 0
  let i = 0
  while (i < characters.length) {
    if (pattern[at] === '*') {
      afterStar = ++at
      restart = i
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === characters[i])) {
      at++
      i++
    } else if (afterStar >= 0) {
      // What the last star stands for is one character longer.
      at = afterStar
      i = ++restart
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
