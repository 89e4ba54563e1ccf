/** The errno values of Linux that travel in USB/IP replies (negated), by name. */
export const ERRNO = {
  ENOENT: 2,
  EIO: 5,
  ENODEV: 19,
  EXDEV: 18,
  EINVAL: 22,
  EPIPE: 32,
  EPROTO: 71,
  EOVERFLOW: 75,
  ECONNRESET: 104,
  ESHUTDOWN: 108,
  EREMOTEIO: 121,
} as const

export type Errno = keyof typeof ERRNO

/** A transfer that did not succeed. `code` is the errno's name, `EIO` for one that has no name here. */
export class UsbipError extends Error {
  readonly code: Errno

  constructor(code: Errno, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'UsbipError'
    this.code = code
  }
}

/** The name of the negative status of a reply. */
export function nameStatus(status: number): Errno {
  for (const [name, value] of Object.entries(ERRNO)) if (value === -status) return name as Errno
  return 'EIO'
}
