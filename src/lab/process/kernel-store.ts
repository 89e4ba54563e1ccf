import type { Backend } from './backend.ts'
import { KernelError } from './kernel-error.ts'
import type { Link } from './links.ts'
import type { Vhci } from './vhci.ts'

/** The kernel of one qube, as far as it has USB. */
export interface Kernel {
  readonly backend: Backend | null
  readonly vhci: Vhci | null
}

/**
 * A write to a sysfs attribute.
 * @param path from the qube's root, `/sys/…`
 * @param link the data link of the call that writes, standing for the socket behind its fd 0
 * @throws KernelError as the kernel's store method would
 */
export async function store(kernel: Kernel, path: string, value: string, link: Link | null): Promise<void> {
  const { backend, vhci } = kernel
  const vhciFile = /^\/sys\/devices\/platform\/vhci_hcd\.0\/(attach|detach)$/.exec(path)?.[1]
  if (vhciFile !== undefined && vhci !== null) {
    if (vhciFile === 'attach') return vhci.attach(value, link)
    return vhci.detach(value)
  }
  if (backend === null) throw new KernelError('ENODEV', path)
  const driverFile = /^\/sys\/bus\/usb\/drivers\/(usb|usbip-host)\/(bind|unbind|match_busid|rebind)$/.exec(
    path,
  )
  const deviceFile = /^\/sys\/bus\/usb\/devices\/([^/]+)\/(usbip_sockfd|driver\/unbind)$/.exec(path)
  if (driverFile !== null) return storeDriver(backend, `${driverFile[1]}/${driverFile[2]}`, value)
  if (deviceFile === null) throw new KernelError('EINVAL', path)
  const port = deviceFile[1] ?? ''
  if (deviceFile[2] === 'usbip_sockfd') return backend.setSockfd(port, value, link)
  const driver = backend.plugged.get(port)?.node.driver
  if (driver !== 'usb' && driver !== 'usbip-host') throw new KernelError('ENODEV', path)
  backend.unbind(driver, value)
}

async function storeDriver(backend: Backend, file: string, value: string): Promise<void> {
  if (value.includes(':')) throw new KernelError('ENODEV', value)
  switch (file) {
    case 'usb/bind':
      return backend.bindNormal(value)
    case 'usb/unbind':
      return backend.unbind('usb', value)
    case 'usbip-host/bind':
      return backend.bindHost(value)
    case 'usbip-host/unbind':
      return backend.unbind('usbip-host', value)
    case 'usbip-host/match_busid':
      return backend.matchBusid(value)
    default:
      throw new KernelError('EINVAL', file)
  }
}
