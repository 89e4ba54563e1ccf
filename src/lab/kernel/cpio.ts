/** A file, folder, link or device node of an initial root file system. */
export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string
  /** Type and permissions, as in st_mode. */
  readonly mode: number
  readonly content?: Buffer
  /** Major and minor number of a device node. */
  readonly device?: readonly [major: number, minor: number]
}

const KIND = { folder: 0o040000, file: 0o100000, link: 0o120000, character: 0o020000 }

export const folder = (path: string, mode = 0o755): CpioEntry => ({ path, mode: KIND.folder | mode })

export const file = (path: string, content: Buffer | string, mode = 0o644): CpioEntry => ({
  path,
  mode: KIND.file | mode,
  content: Buffer.from(content),
})

export const program = (path: string, content: Buffer | string): CpioEntry => file(path, content, 0o755)

export const link = (path: string, target: string): CpioEntry => ({
  path,
  mode: KIND.link | 0o777,
  content: Buffer.from(target),
})

export const characterDevice = (path: string, major: number, minor: number): CpioEntry => ({
  path,
  mode: KIND.character | 0o600,
  device: [major, minor],
})

/**
 * An archive in the form "newc", which the kernel unpacks as its root file system (kernel document
 * Documentation/driver-api/early-userspace/buffer-format.rst). Several behind one another are one: the
 * later ones add to the earlier.
 */
export function packCpio(entries: readonly CpioEntry[]): Buffer {
  const all = [...entries, { path: 'TRAILER!!!', mode: 0 }]
  const parts = all.flatMap((entry: CpioEntry, index) => {
    const name = Buffer.from(`${entry.path}\0`)
    const content = entry.content ?? Buffer.alloc(0)
    const [major, minor] = entry.device ?? [0, 0]
    const links = 1
    const fields = [index + 1, entry.mode, 0, 0, links, 0, content.length, 0, 0, major, minor, name.length, 0]
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
    return [padded(Buffer.concat([Buffer.from(header), name])), padded(content)]
  })
  return Buffer.concat(parts)
}

/** Each header with its name, and each content, begins at a multiple of four bytes. */
function padded(bytes: Buffer): Buffer {
  const lack = (4 - (bytes.length % 4)) % 4
  return lack === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(lack)])
}
