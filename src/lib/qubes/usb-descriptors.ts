/** Types of descriptors (USB 2.0, table 9-5). */
const CONFIGURATION = 2
const INTERFACE = 4

/** The kernel's own limit is 255 interfaces a configuration; no device that works has as many. */
const INTERFACE_LIMIT = 64

/**
 * The interface codes of a device that shows no interfaces in sysfs, from the bytes of its `descriptors` file: the
 * device descriptor, then each configuration whole.
 * @param lines as `od -An -v -tx1` prints them: ` 12 01 00`
 * @param configuration the one in use; null takes the first
 * @returns class, subclass and protocol of each interface in its alternate setting 0; [] for what is no descriptor
 */
export function readInterfaceCodes(lines: readonly string[], configuration: number | null): string[] {
  const bytes = Buffer.from(lines.map((line) => line.replaceAll(' ', '')).join(''), 'hex')
  const codes = new Map<number, string>()
  let current: number | null = null
  let first: number | null = null
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = bytes[at] ?? 0
    const type = bytes[at + 1]
    // A length below two would not move on.
    if (length < 2 || at + length > bytes.length) break
    if (type === CONFIGURATION && length >= 9) {
      current = bytes[at + 5] ?? null
      first ??= current
    } else if (
      type === INTERFACE &&
      length >= 9 &&
      current !== null &&
      current === (configuration ?? first)
    ) {
      const number = bytes[at + 2] ?? 0
      if (bytes[at + 3] === 0 && !codes.has(number) && codes.size < INTERFACE_LIMIT) {
        codes.set(number, bytes.toString('hex', at + 5, at + 8))
      }
    }
    at += length
  }
  return [...codes].sort(([a], [b]) => a - b).map(([, code]) => code)
}
