import {
  devicePath,
  FREE_ROW,
  MARKER,
  renderTranscript,
  VHCI_HEAD,
  vhciRow,
} from '../../test/lib/qubes/transcript-text.ts'

const imported = (port: string): string => `/sys/devices/platform/vhci_hcd.0/usb3/${port}`

/** Answers to start from: one of a backend, one of a frontend, one of little. */
export const seeds: readonly Buffer[] = [
  renderTranscript({ name: 'sys-usb' }),
  renderTranscript({
    name: 'sys-usb',
    before: 'Welcome',
    qubesDb: [
      ' = ',
      '2-1_4/desc = 1050:0407 Yubico Key\\x20two 0001',
      '2-1_4/interfaces = :030101:0b0000:',
      '/qubes-usb-devices/2-1_4/connected-to = work',
      '2-2/desc = 0951:1666 Kingston_DataTraveler',
    ],
    devices: [
      {
        port: '2-1',
        attributes: { bDeviceClass: '09' },
        interfaces: [{ name: '1.0', code: '090000', driver: 'hub' }],
      },
      {
        port: '2-1.4',
        driver: 'usbip-host',
        attributes: { devnum: '3', serial: '0001', product: 'Key é', usbip_status: '2', speed: '12' },
        descriptors: [
          ' 12 01 00 02 00 00 00 40 50 10 07 04 00 01 00 00',
          ' 00 01 09 02 12 00 01 01 00 80 1e 09 04 00 00 00',
          ' 03 01 01 00',
        ],
      },
      {
        port: '2-2',
        attributes: { devnum: '4', serial: 'ABC', manufacturer: 'M', product: 'P', speed: '5000' },
        interfaces: [{ name: '1.0', code: '080650', driver: 'usb-storage' }],
      },
    ],
    facts: [
      `B sdb 8:16 ${devicePath('2-2')}/2-2:1.0/host6/block/sdb`,
      'h dm-0',
      `E event3 ${devicePath('2-1.4')}/2-1.4:1.0/input/input3/event3`,
      'L loop0 /dev/sdb',
      'M /dev/sdb /mnt/a\\040b',
      'W /dev/sdb',
      'V vbd-5-51744 8:10',
      'I qubes-input-sender-keyboard@event3.service',
      'X qubes.USB',
      'X ctap',
    ],
  }),
  renderTranscript({
    devices: [
      {
        port: '3-1',
        path: imported('3-1'),
        interfaces: [{ name: '1.0', code: '080650', driver: 'usb-storage' }],
      },
      { port: '3-2', path: imported('3-2'), attributes: { devnum: '3' } },
    ],
    vhci: [
      VHCI_HEAD,
      vhciRow('hs', '0000'),
      vhciRow('hs', '0001', { device: '00030010', local: '3-2' }),
      vhciRow('ss', '0008', FREE_ROW),
    ],
    facts: [
      'S 0000 usb-import-sys-usb-2-1.state',
      'S 1 usb-import-sys-net-3-1.4.state',
      'P 100 /bin/sh\t--\t/usr/lib/qubes/usb-import\t/var/run/qubes/usb-import-sys-usb-2-1.state\t',
      'P 101 qrexec-client-vm\tsys-net\tqubes.USB+3-1.4\t/usr/lib/qubes/usb-import\tx',
      'X qubes.USBAttach',
      'X qubes.USBDetach',
      'T',
    ],
  }),
]

/** What the parser looks for, and what must not get through it. */
export const dictionary: readonly string[] = [
  `\n${MARKER} end\n`,
  `\n${MARKER} facts\n`,
  MARKER,
  '\n',
  '\n ',
  '\t',
  ' = ',
  '/desc',
  '/connected-to = dom0',
  '/connected-to = ',
  'work-dm',
  'sys-usb',
  '\\x20',
  '\\x1b',
  '\\040',
  '\\033',
  '../../x',
  '2-1',
  '2-1.4',
  '2-1.4.4.4.4.4.4.4',
  '0-0',
  ':1.0',
  '/serial:',
  '/product:',
  '/devnum:',
  '/vhci_hcd.0/',
  '../../../devices/platform/vhci_hcd.0/status:',
  'usb-import-',
  '.state',
  'qubes.USB+',
  '\u001b[2J',
  '\u202e',
  '\u2028',
  '\ufeff',
  '\u0000',
  '😀',
  'é́́́́',
  'x'.repeat(300),
  'x'.repeat(5000),
]
