/** A device as the probe would tell of it; what is left out is as a healthy device has it. */
export interface TranscriptDevice {
  port: string
  path?: string
  driver?: string
  /** Lines of the device's files. */
  attributes?: Record<string, string>
  interfaces?: { name: string; code: string; driver?: string }[]
  descriptors?: string[]
}

export interface TranscriptParts {
  name?: string
  /** `PATH = VALUE`, without the path of the tree before it or with. */
  qubesDb?: string[]
  devices?: TranscriptDevice[]
  /** Lines of the table of a virtual host controller. */
  vhci?: string[]
  facts?: string[]
  before?: string
  after?: string
}

/** A marker as the probe's caller makes it. */
export const MARKER = `qusb-${'0a'.repeat(16)}`

/** The probe's answer as it would stand on stdout. */
export function renderTranscript(parts: TranscriptParts): Buffer {
  const devices = parts.devices ?? []
  const lines = [
    parts.before ?? '',
    `${MARKER} begin 1`,
    ...(parts.name === undefined ? [] : [`/name = ${parts.name}`]),
    ...(parts.qubesDb ?? []).map((line) => (line.startsWith('/') ? line : `/qubes-usb-devices/${line}`)),
    '',
    `${MARKER} devices`,
    ...devices.flatMap(renderDevice),
    `${MARKER} attributes`,
    ...devices.flatMap(renderAttributes),
    ...(parts.vhci ?? []).map((line) => `../../../devices/platform/vhci_hcd.0/status:${line}`),
    '',
    `${MARKER} facts`,
    ...(parts.facts ?? []),
    `${MARKER} end`,
    parts.after ?? '',
  ]
  return Buffer.from(lines.join('\n'))
}

/** Where sysfs has a device that hangs on a port. */
export function devicePath(port: string): string {
  const [bus = '', chain = ''] = port.split('-')
  const parts = chain.split('.')
  const hubs = parts.map((_, depth) => `${bus}-${parts.slice(0, depth + 1).join('.')}`)
  return `/sys/devices/pci0000:00/0000:00:14.0/usb${bus}/${hubs.join('/')}`
}

function renderDevice(device: TranscriptDevice): string[] {
  return [
    `D ${device.port} ${device.driver ?? 'usb'} ${device.path ?? devicePath(device.port)}`,
    ...(device.interfaces ?? []).map(({ name, driver }) => `i ${name} ${driver ?? '-'}`),
    ...(device.descriptors ?? []),
  ]
}

function renderAttributes(device: TranscriptDevice): string[] {
  const attributes = {
    idVendor: '1050',
    idProduct: '0407',
    busnum: device.port.split('-')[0] ?? '',
    devnum: '2',
    ...device.attributes,
  }
  return [
    ...(device.interfaces ?? []).flatMap(({ name, code }) => {
      const at = `${device.port}/${device.port}:${name}`
      return [
        `${at}/bInterfaceClass:${code.slice(0, 2)}`,
        `${at}/bInterfaceSubClass:${code.slice(2, 4)}`,
        `${at}/bInterfaceProtocol:${code.slice(4)}`,
      ]
    }),
    ...Object.entries(attributes).map(([name, text]) => `${device.port}/${name}:${text}`),
  ]
}

/** A row of a virtual host controller's table, as the kernel prints it. */
export function vhciRow(
  hub: string,
  port: string,
  {
    status = '006',
    device = '00020003',
    local = '3-1',
  }: { status?: string; device?: string; local?: string } = {},
): string {
  return `${hub}  ${port} ${status} 003 ${device} 000003 ${local}`
}

export const VHCI_HEAD = 'hub port sta spd dev      sockfd local_busid'

/** What the row of a port that carries nothing says. */
export const FREE_ROW = { status: '004', device: '00000000', local: '0-0' }
