import { describe, expect, it } from 'vitest'
import {
  attachResultSchema,
  detachResultSchema,
  infoResultSchema,
} from '../../../src/lib/passthrough/results.ts'
import { renderAttach, renderDetach } from '../../../src/lib/view/attachment.ts'
import { renderFailure } from '../../../src/lib/view/failure.ts'
import { renderInfo } from '../../../src/lib/view/info.ts'
import { renderSetup } from '../../../src/lib/view/setup.ts'
import { describeTerminal } from '../../../src/lib/view/terminal.ts'
import { renderWarnings } from '../../../src/lib/view/warnings.ts'
import { device } from './arbitrary.ts'

const screen = { width: 80, colour: false, unicode: true }

const stick = {
  backend: 'sys-usb',
  port: '2-1',
  frontend: 'work',
  vendorId: '0781',
  productId: '5567',
  serial: null,
  description: 'SanDisk Cruzer Blade',
  since: null,
}
const attach = (fields: object): string =>
  renderAttach(
    attachResultSchema.parse({
      schema: 1,
      changed: true,
      attachment: stick,
      from: null,
      warnings: [],
      ...fields,
    }),
    screen,
  )
const detach = (fields: object): string =>
  renderDetach(
    detachResultSchema.parse({
      schema: 1,
      changed: true,
      attachments: [],
      attachment: null,
      warnings: [],
      ...fields,
    }),
    screen,
  )
const plan = [
  { step: 'survey', what: 'ask sys-usb' },
  { step: 'lock', what: 'the device, then work' },
]

describe('an attach', () => {
  it('is one sentence', () => {
    expect(attach({})).toBe('Attached sys-usb:2-1 (SanDisk Cruzer Blade, 0781:5567) to work.\n')
    expect(attach({ changed: false })).toBe(
      'sys-usb:2-1 (SanDisk Cruzer Blade, 0781:5567) is already attached to work:\n  nothing to do.\n',
    )
  })

  it('tells whom it was taken from', () => {
    expect(attach({ from: 'vault' })).toBe(
      'Moved sys-usb:2-1 (SanDisk Cruzer Blade, 0781:5567) from vault to work.\n',
    )
  })

  it('as a plan is numbered, and says that nothing was done', () => {
    expect(attach({ changed: false, plan })).toBe(`\
Would attach sys-usb:2-1 (SanDisk Cruzer Blade, 0781:5567) to work:
   1. survey  ask sys-usb
   2. lock    the device, then work
Nothing was done (--dry-run).
`)
  })
})

describe('a detach', () => {
  it('is a sentence for each device, with what went wrong', () => {
    const error = {
      code: 'TIMEOUT',
      message: 'work did not let go in time',
      hint: 'Try again.',
      detail: 'I/O\u001b[2J error',
    }
    const attachments = [
      { ...stick, changed: true },
      { ...stick, port: '2-2', changed: false },
      { ...stick, port: '2-3', changed: false, error },
    ]
    expect(detach({ attachments })).toBe(`\
Detached sys-usb:2-1 (SanDisk Cruzer Blade, 0781:5567) from work.
sys-usb:2-2 (SanDisk Cruzer Blade, 0781:5567) is not attached: nothing to do.
Could not detach sys-usb:2-3 (SanDisk Cruzer Blade, 0781:5567) from work: work
  did not let go in time [TIMEOUT]
  Try again.
  (I/O_[2J error)
`)
  })

  it('of nothing says so', () => {
    expect(detach({ changed: false })).toBe('Nothing is attached: nothing to do.\n')
  })

  it('as a plan', () => {
    expect(detach({ plan, attachments: [{ ...stick, changed: false }] })).toMatch(
      /^Would detach sys-usb:2-1 \(SanDisk Cruzer Blade, 0781:5567\) from work:\n {3}1\. survey/,
    )
  })
})

describe('what is known of a device', () => {
  it('is a fact a line, and what to know before giving it away', () => {
    const result = infoResultSchema.parse({
      schema: 1,
      device: device({
        serial: '4C530001',
        attachedTo: 'work',
        since: '2026-07-01T09:05:00.000Z',
        by: { user: 'ada', rule: null },
        usage: [
          { kind: 'mounted', block: 'sda1', what: '/mnt' },
          { kind: 'holder', block: 'sda2', what: null },
        ],
      }),
      interfaces: [{ code: '080650', words: 'storage', driver: 'usb-storage' }],
      advice: [{ kind: 'in-use', text: 'It is in use in sys-usb: data would be lost.' }],
      warnings: [],
    })
    expect(renderInfo(result, screen).replace(/since {10}.*\n/, 'since\n')).toBe(`\
SanDisk Cruzer Blade
  port           sys-usb:2-1 (bus 2, device 5)
  identity       0781:5567@4C530001
  serial         4C530001
  its own claim  SanDisk Cruzer Blade
  class          storage
  speed          480M
  driver         usb
  state          attached to work
  since
  by             ada
  in use         sda1 is mounted on /mnt
  in use         sda2 is held by another block device
  interface      080650  storage  (driver usb-storage)

Before you give it away:
  - It is in use in sys-usb: data would be lost.
`)
  })
})

describe('failures and warnings', () => {
  it('say what, the candidates to paste, and what to do next', () => {
    const failure = {
      code: 'AMBIGUOUS',
      message: '046d:0825 names 2 devices',
      hint: 'Name one of them.',
      detail: null,
      candidates: [
        { selector: 'sys-usb:2-5', description: 'camera: Webcam' },
        { selector: 'sys-usb:2-10', description: 'camera: \u202eWebcam' },
      ],
    }
    expect(renderFailure(failure, screen)).toBe(`\
qusb: error: 046d:0825 names 2 devices [AMBIGUOUS]
  sys-usb:2-5   camera: Webcam
  sys-usb:2-10  camera: _Webcam
  Name one of them.
`)
  })

  it('name the qube once', () => {
    const warning = { code: 'TIMEOUT', hint: null, qube: device().backend }
    expect(
      renderWarnings(
        [
          { ...warning, message: 'no answer in 5 s' },
          { ...warning, message: 'sys-usb is paused', hint: 'Unpause it.' },
          { ...warning, qube: null, message: 'the history cannot be written' },
        ],
        screen,
      ),
    ).toBe(`\
qusb: warning: sys-usb: no answer in 5 s [TIMEOUT]
qusb: warning: sys-usb is paused [TIMEOUT]
  Unpause it.
qusb: warning: the history cannot be written [TIMEOUT]
`)
  })
})

describe('a setup', () => {
  it('says what it did, and that twice is once', () => {
    const done = [{ path: '/etc/qusb', action: 'made' as const, what: '2775 root:qubes' }]
    expect(renderSetup({ schema: 1, changed: true, done }, screen)).toBe(
      'made       /etc/qusb  2775 root:qubes\n',
    )
    const again = [{ path: '/etc/qusb', action: 'unchanged' as const, what: '2775 root:qubes' }]
    expect(renderSetup({ schema: 1, changed: false, done: again }, screen)).toBe(
      'unchanged  /etc/qusb  2775 root:qubes\nEverything is in place: nothing to do.\n',
    )
  })
})

describe('a terminal', () => {
  const tty = { isTTY: true, columns: 100 }
  it.each([
    ['with colour', tty, { LANG: 'en_US.UTF-8' }, { width: 100, colour: true, unicode: true }],
    [
      'with NO_COLOR',
      tty,
      { LANG: 'en_US.UTF-8', NO_COLOR: '1' },
      { width: 100, colour: false, unicode: true },
    ],
    [
      'with NO_COLOR empty, which counts as unset',
      tty,
      { NO_COLOR: '' },
      { width: 100, colour: true, unicode: false },
    ],
    ['that is dumb', tty, { TERM: 'dumb', LANG: 'C.utf8' }, { width: 100, colour: false, unicode: true }],
    [
      'by LC_ALL before LANG',
      tty,
      { LC_ALL: 'C', LANG: 'en_US.UTF-8' },
      { width: 100, colour: true, unicode: false },
    ],
    ['that is a pipe', {}, {}, { width: Number.POSITIVE_INFINITY, colour: false, unicode: true }],
    ['of no width', { isTTY: true, columns: 0 }, {}, { width: 80, colour: true, unicode: false }],
  ])('%s', (_, stream, env, expected) => {
    expect(describeTerminal(stream, env)).toEqual(expected)
  })
})
