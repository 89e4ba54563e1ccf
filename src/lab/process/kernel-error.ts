/** What a sysfs store method of the kernel refuses, by errno name. */
export class KernelError extends Error {
  readonly errno: 'EINVAL' | 'EBUSY' | 'ENODEV' | 'ENOMEM' | 'EIO'
  constructor(errno: KernelError['errno'], what: string) {
    super(`${errno}: ${what}`)
    this.name = 'KernelError'
    this.errno = errno
  }
}
