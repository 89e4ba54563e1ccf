import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { carryOut, findGroup, planSetup, tmpfilesContent } from '../../../src/lib/site/setup.ts'
import { type Site, siteFrom } from '../../../src/lib/site/site.ts'

// Whoever runs the tests owns what is set up: root is not needed to see what is done.
const { uid, gid } = userInfo()
const owner = { uid, gid, user: 'root', group: 'qubes' }

let root: string
let site: Site

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'qusb-setup-'))
  for (const parent of ['etc', 'run', 'var']) mkdirSync(join(root, parent), { mode: 0o755 })
  site = siteFrom({
    stateDir: join(root, 'var/qusb'),
    configDir: join(root, 'etc/qusb'),
    runDir: join(root, 'run/qusb'),
    tmpfilesDir: join(root, 'etc/tmpfiles.d'),
    rpcDir: join(root, 'etc/qubes-rpc'),
    keptPolicyDir: join(root, 'etc/qubes/policy.d'),
    unitDir: join(root, 'etc/systemd/system'),
    setupDir: join(root, 'var/qusb-setup'),
  })
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const actions = (): string[] => planSetup(site, owner).map((step) => step.action)
const setUp = (): void => carryOut(planSetup(site, owner))
const mode = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8)

describe('the setup of a dom0', () => {
  it('makes the directories with their modes, and the tmpfiles.d file', () => {
    expect(actions()).toEqual(Array(8).fill('made'))
    setUp()
    expect([site.stateDir, site.configDir, join(site.configDir, 'rules.d'), site.runDir].map(mode)).toEqual([
      '2770',
      '2775',
      '2775',
      '2770',
    ])
    const file = join(site.tmpfilesDir, 'qusb.conf')
    expect(mode(file)).toBe('644')
    expect(readFileSync(file, 'utf8')).toContain(`\nd ${site.runDir} 2770 root qubes -\n`)
    expect(readdirSync(site.tmpfilesDir)).toEqual(['qusb.conf'])
  })

  it('twice is once', () => {
    setUp()
    expect(actions()).toEqual(Array(8).fill('unchanged'))
    const before = lstatSync(join(site.tmpfilesDir, 'qusb.conf')).ino
    setUp()
    expect(lstatSync(join(site.tmpfilesDir, 'qusb.conf')).ino).toBe(before)
  })

  it('mends a mode and a content, and keeps what is inside', () => {
    setUp()
    writeFileSync(join(site.stateDir, 'state.json'), '{}')
    chmodSync(site.stateDir, 0o755)
    writeFileSync(join(site.tmpfilesDir, 'qusb.conf'), 'something else\n')
    const unchanged = Array(3).fill('unchanged')
    expect(actions()).toEqual(['changed', ...unchanged, 'changed', ...unchanged])
    setUp()
    expect(mode(site.stateDir)).toBe('2770')
    expect(readFileSync(join(site.stateDir, 'state.json'), 'utf8')).toBe('{}')
  })

  it.each([
    ['a directory', 'run/qusb'],
    ['the rules', 'etc/qusb/rules.d'],
    ['the tmpfiles.d file', 'etc/tmpfiles.d/qusb.conf'],
    ['the service', 'etc/qubes-rpc/qusb.Plugged'],
    ['the unit', 'etc/systemd/system/qusb-watch@.service'],
    ['the policy', 'etc/qubes/policy.d/30-qusb.policy'],
  ])('does not follow a link in the place of %s', (_, path) => {
    const bait = join(root, 'bait')
    mkdirSync(bait, { mode: 0o700 })
    mkdirSync(join(root, path, '..'), { recursive: true })
    symlinkSync(bait, join(root, path))
    expect(() => setUp()).toThrow(
      expect.objectContaining({ code: 'REFUSED', message: expect.stringContaining('symbolic link') }),
    )
    expect(mode(bait)).toBe('700')
    expect(readdirSync(bait)).toEqual([])
  })

  it('does not follow a link that is planted between the look and the change', () => {
    const plan = planSetup(site, owner)
    const bait = join(root, 'bait')
    mkdirSync(bait, { mode: 0o700 })
    symlinkSync(bait, site.stateDir)
    expect(() => carryOut(plan)).toThrow(expect.objectContaining({ code: 'REFUSED' }))
    expect(mode(bait)).toBe('700')
  })

  it('does not build on a directory that others may write', () => {
    chmodSync(join(root, 'run'), 0o777)
    expect(() => planSetup(site, owner)).toThrow(expect.objectContaining({ code: 'REFUSED' }))
    chmodSync(join(root, 'run'), 0o1777)
    expect(actions()).toHaveLength(8)
  })

  it('does not take a file for a directory', () => {
    writeFileSync(site.stateDir, '')
    expect(() => planSetup(site, owner)).toThrow(expect.objectContaining({ code: 'REFUSED' }))
  })
})

describe('what lets USB qubes give hints', () => {
  it('is a link to the socket, and a policy that names nobody before a USB qube is set up', () => {
    setUp()
    expect(readlinkSync(join(site.rpcDir, 'qusb.Plugged'))).toBe(join(site.runDir, 'plugged.sock'))
    const policy = readFileSync(join(site.keptPolicyDir, '30-qusb.policy'), 'utf8')
    expect(policy.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      'qusb.Plugged  *  *  *  deny  notify=no',
      '',
    ])
  })

  it('names the USB qubes that are set up, one by one', () => {
    setUp()
    const manifest = {
      schema: 1,
      backends: [
        { backend: 'sys-usb', files: [] },
        { backend: 'sys-usb-2', files: [] },
      ],
    }
    mkdirSync(site.setupDir)
    writeFileSync(join(site.setupDir, 'installed.json'), JSON.stringify(manifest))
    setUp()
    const policy = readFileSync(join(site.keptPolicyDir, '30-qusb.policy'), 'utf8')
    expect(policy.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      'qusb.Plugged  +  sys-usb  @adminvm  allow',
      'qusb.Plugged  +  sys-usb-2  @adminvm  allow',
      'qusb.Plugged  *  *  *  deny  notify=no',
      '',
    ])
  })
})

describe('the tmpfiles.d file that is packaged', () => {
  it('makes the same directory as the setup of a dom0', () => {
    expect(readFileSync('share/tmpfiles.d/qusb.conf', 'utf8')).toBe(tmpfilesContent('/run/qusb', owner))
  })
})

describe('the group', () => {
  it('is found by name, or the error says what to do', () => {
    const file = join(root, 'group')
    writeFileSync(file, 'root:x:0:\nqubes:x:98:user\nbroken\n')
    expect(findGroup('qubes', file)).toBe(98)
    expect(() => findGroup('wheel', file)).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', hint: expect.stringContaining('--group') }),
    )
    expect(() => findGroup('broken', file)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    expect(() => findGroup('a:b', file)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})
