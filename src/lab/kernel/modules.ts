import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { filter } from './kernel-image.ts'

/** Where, below a release's module folder, everything lies that WANTED can lead to. */
export const MODULE_FOLDERS = [
  'modules.builtin',
  'kernel/arch/x86/crypto/',
  'kernel/block/',
  'kernel/crypto/',
  'kernel/drivers/block/',
  'kernel/drivers/char/',
  'kernel/drivers/hid/',
  'kernel/drivers/input/',
  'kernel/drivers/net/',
  'kernel/drivers/scsi/',
  'kernel/drivers/usb/',
  'kernel/drivers/virtio/',
  'kernel/fs/',
  'kernel/lib/',
  'kernel/net/core/',
]

/** What the guests drive: their network, a USB controller, the lab's devices, a file system, USB/IP. */
export const WANTED = [
  'virtio_pci',
  'virtio_net',
  'xhci_pci',
  'usb_storage',
  'sd_mod',
  'usbhid',
  'hid_generic',
  'evdev',
  'ftdi_sio',
  'vfat',
  'nls_cp437',
  'nls_ascii',
  'usbip_host',
  'vhci_hcd',
]

/** A kernel module as insmod takes it. */
export interface KernelModule {
  readonly name: string
  readonly content: Buffer
}

/**
 * The wanted modules and all that they depend on, dependencies first: a package has no modules.dep (depmod
 * makes it on installation), but every module names what it needs.
 * `folder` is `lib/modules/RELEASE`. Throws an Error that names a module which is neither there nor built in.
 */
export async function collectModules(folder: string, busybox: string): Promise<KernelModule[]> {
  const builtin = new Set(
    (await readFile(join(folder, 'modules.builtin'), 'utf8')).split('\n').map((line) => moduleName(line)),
  )
  const files = new Map<string, string>()
  for (const file of await readdir(folder, { recursive: true }))
    if (/\.ko(\.xz|\.zst)?$/.test(file)) files.set(moduleName(file), join(folder, file))
  const collected = new Map<string, KernelModule>()
  const collect = async (name: string): Promise<void> => {
    if (builtin.has(name) || collected.has(name)) return
    const file = files.get(name)
    if (!file) throw new Error(`this kernel has no module ${name}`)
    const content = await readModule(file, busybox)
    for (const dependency of moduleDependencies(content)) await collect(dependency)
    collected.set(name, { name, content })
  }
  for (const name of WANTED) await collect(name)
  return [...collected.values()]
}

/** `kernel/drivers/usb/host/xhci-hcd.ko.xz` is the module `xhci_hcd`. */
function moduleName(file: string): string {
  return basename(file)
    .replace(/\.ko(\.xz|\.zst)?$/, '')
    .replaceAll('-', '_')
}

async function readModule(file: string, busybox: string): Promise<Buffer> {
  const content = await readFile(file)
  if (file.endsWith('.xz'))
    return await filter('xz', ['-dc'], content).catch(() => filter(busybox, ['xzcat'], content))
  if (file.endsWith('.zst')) return await filter('zstd', ['-dc'], content)
  return content
}

/** The names in the module's own `depends=` line (section .modinfo: strings that end in a zero byte). */
export function moduleDependencies(content: Buffer): string[] {
  const start = content.indexOf('\0depends=', 0, 'latin1')
  if (start < 0) return []
  const end = content.indexOf(0, start + 1)
  const names = content.toString('latin1', start + '\0depends='.length, end)
  return names.split(',').flatMap((name) => (name ? [moduleName(name)] : []))
}
