import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { cleanText } from '../model/text.ts'

/** What usb.ids calls a device; null where it does not know it. */
export interface UsbNames {
  vendor: string | null
  product: string | null
}

interface VidPid {
  vendorId: string
  productId: string
}

/** The real file holds 700 KB in 2025; what is much larger is something else. */
const FILE_LIMIT = 4 * 1024 * 1024

const NAME_LIMIT = 100
const NEWLINE = 0x0a
const TAB = 0x09

/**
 * Vendor and product names from a usb.ids file (format: http://www.linux-usb.org/usb-ids.html): a vendor's line is
 * `hhhh  NAME`, its products follow as `<TAB>hhhh  NAME`. Found by searching the bytes, without making 20,000 strings.
 * @param file may be missing, unreadable, a pipe, or anything else: then nothing is known
 * @returns what is known, by `vvvv:pppp`
 */
export function lookUpUsbIds(file: string, pairs: readonly VidPid[]): Map<string, UsbNames> {
  const names = new Map<string, UsbNames>()
  const content = pairs.length === 0 ? undefined : readIds(file)
  if (content === undefined) return names
  for (const { vendorId, productId } of pairs) {
    const key = `${vendorId}:${productId}`
    if (!names.has(key)) names.set(key, lookUp(content, vendorId, productId))
  }
  return names
}

/** The file's bytes after a newline, so that every line begins after one. */
function readIds(file: string): Buffer | undefined {
  let fd: number | undefined
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(fd)
    if (!stat.isFile() || stat.size > FILE_LIMIT) return undefined
    const content = Buffer.allocUnsafe(stat.size + 1)
    content[0] = NEWLINE
    let length = 1
    while (length < content.length) {
      const read = readSync(fd, content, length, content.length - length, null)
      if (read === 0) break
      length += read
    }
    return content.subarray(0, length)
  } catch {
    // Names are a convenience: without them devices are shown by their own claim.
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function lookUp(content: Buffer, vendorId: string, productId: string): UsbNames {
  const vendorAt = content.indexOf(`\n${vendorId}  `, 0, 'latin1')
  if (vendorAt < 0) return { vendor: null, product: null }
  const vendor = nameAt(content, vendorAt + 1 + vendorId.length)
  const wanted = `\t${productId}  `
  for (let at = endOfLine(content, vendorAt + 1); at < content.length; at = endOfLine(content, at + 1)) {
    const first = content[at + 1]
    if (first !== TAB && first !== 0x23) break
    if (content.toString('latin1', at + 1, at + 1 + wanted.length) === wanted) {
      return { vendor, product: nameAt(content, at + wanted.length - 1) }
    }
  }
  return { vendor, product: null }
}

function endOfLine(content: Buffer, from: number): number {
  const end = content.indexOf(NEWLINE, from)
  return end < 0 ? content.length : end
}

/** The name from here to the end of the line; the file is UTF-8 and not ours, so it is cleaned. */
function nameAt(content: Buffer, from: number): string | null {
  const name = cleanText(
    content.toString('utf8', from, Math.min(endOfLine(content, from), from + 400)),
    NAME_LIMIT,
  ).text
  return name === '' ? null : name
}
