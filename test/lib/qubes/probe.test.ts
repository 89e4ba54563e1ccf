import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import { renderProbe } from '../../../src/lib/qubes/survey.ts'
import type { QubeSurvey } from '../../../src/lib/qubes/survey-facts.ts'
import { parseSurvey } from '../../../src/lib/qubes/survey-parser.ts'
import { QubeTree } from './qube-tree.ts'

const QUBE = 'sys-usb' as QubeName
const MARKER = `qusb-${'0a'.repeat(16)}`

/** The shells that a qube may have, as far as this machine has them. */
const SHELLS = [['dash'], ['bash'], ['bash', '--posix'], ['busybox', 'ash']].flatMap(
  ([name = '', ...args]) => {
    const found = spawnSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).stdout.trim()
    return found === '' ? [] : [[found, ...args]]
  },
)

let tree: QubeTree
beforeEach(() => {
  tree = new QubeTree()
})
afterEach(() => tree.remove())

function runProbe(
  shell: string[],
  options: { name?: string | null; prefix?: string; profile?: string } = {},
) {
  const [file = '', ...args] = shell
  const bin = tree.programs(options.name === undefined ? QUBE : options.name, options.prefix)
  return spawnSync(file, [...args, '-s'], {
    input: (options.profile ?? '') + renderProbe(MARKER),
    env: { PATH: `${bin}:/usr/bin:/bin`, QUSB_ROOT: tree.root },
    timeout: 10_000,
    maxBuffer: 4 * 1024 * 1024,
  })
}

function survey(shell: string[], options: Parameters<typeof runProbe>[1] = {}): QubeSurvey {
  const parsed = parseSurvey(runProbe(shell, options).stdout, MARKER, QUBE)
  if (!('survey' in parsed)) throw new Error(`no survey: ${parsed.problem}`)
  return parsed.survey
}

describe.each(SHELLS.map((shell) => ({ shell })))('the probe in $shell', ({ shell }) => {
  it('tells a device, its interfaces and who has it', () => {
    tree.plug({
      port: '2-1.4',
      files: {
        serial: 'AB 12\n',
        manufacturer: 'Yubico\n',
        product: 'Key\u202e é\n',
        devnum: '9\n',
      },
      interfaces: [
        { number: 10, code: '0b0000' },
        { number: 2, code: '030101', driver: 'usbhid' },
      ],
    })
    tree.plug({
      port: '2-1',
      files: { bDeviceClass: '09\n' },
      interfaces: [{ number: 0, code: '090000', driver: 'hub' }],
    })
    tree.publish('2-1_4/desc', '1050:0407 Yubico Key AB_12')
    tree.publish('2-1_4/connected-to', 'work')
    const found = survey(shell)
    expect(found.rejected).toBe(0)
    expect(found.devices).toMatchObject([
      { port: '2-1', hub: true, hidden: true, state: 'free', interfaces: ['090000'] },
      {
        backend: 'sys-usb',
        port: '2-1.4',
        busnum: 2,
        devnum: 9,
        vendorId: '1050',
        productId: '0407',
        serial: 'AB 12',
        serialUnsafe: false,
        manufacturer: 'Yubico',
        product: 'Key_ é',
        interfaces: ['030101', '0b0000'],
        speed: 480,
        state: 'attached',
        attachedTo: 'work',
        driver: 'usb',
        interfaceDrivers: ['usbhid'],
        hub: false,
        hidden: false,
        controller: '0000:00:14.0',
        inputForDom0: false,
        usage: [],
      },
    ])
    expect(found.publishedSerials).toEqual([{ port: '2-1.4', serial: 'AB_12' }])
    expect(found.vhci).toBeNull()
  })
})
