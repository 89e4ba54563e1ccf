import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_CONFIG, loadConfig, loadConfigOrDefaults } from '../../../src/lib/site/config.ts'
import { loadSite, QUBES_OS, siteFrom } from '../../../src/lib/site/site.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qusb-site-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('a site file', () => {
  const load = (said: unknown) => {
    const file = join(directory, 'site.json')
    writeFileSync(file, JSON.stringify(said), { mode: 0o600 })
    // As root, the directory of temporary files would be refused: everybody may write there.
    const { getuid } = process
    process.getuid = () => 1000
    try {
      return loadSite(file)
    } finally {
      process.getuid = getuid as () => number
    }
  }

  it('changes what it names, and leaves the rest as Qubes OS has it', () => {
    expect(load({ stateDir: '/srv/qusb', limits: { surveyMs: 200 } })).toEqual({
      ...QUBES_OS,
      stateDir: '/srv/qusb',
      limits: { ...QUBES_OS.limits, surveyMs: 200 },
    })
  })

  it.each([
    [{ stateDir: 'srv/qusb' }, 'stateDir: must be an absolute path'],
    [{ usbIds: '/a\0b' }, 'usbIds: must be an absolute path'],
    [{ policyReadDirs: [] }, 'policyReadDirs: '],
    [{ policyReadDirs: ['policy.d'] }, 'policyReadDirs.0: must be an absolute path'],
    [{ limits: { surveyMs: 99 } }, 'limits.surveyMs: '],
    [{ limits: { surveyBytes: 4095 } }, 'limits.surveyBytes: '],
    [{ limits: { more: 1 } }, 'limits: '],
    [{ qubeName: 'a'.repeat(32) }, 'qubeName: '],
    [{ stateDirectory: '/srv' }, 'stateDirectory'],
  ])('is refused for %j', (said, why) => {
    expect(() => load(said)).toThrow(why)
  })

  it('is none where QUSB_SITE is empty', () => {
    expect(loadSite('')).toEqual(QUBES_OS)
    expect(loadSite(undefined)).toEqual(QUBES_OS)
  })
})

describe('the configuration', () => {
  const load = (said: unknown) => {
    writeFileSync(join(directory, 'config.json'), JSON.stringify(said))
    return loadConfig(siteFrom({ configDir: directory }))
  }

  it('changes what it names, and leaves the rest as it is by default', () => {
    expect(load({ timeout: 30, history: { events: 10 } })).toEqual({
      timeout: 30,
      history: { ...DEFAULT_CONFIG.history, events: 10 },
    })
    expect(load({ backends: ['sys-usb'], history: { enabled: false, disposables: false } })).toEqual({
      ...DEFAULT_CONFIG,
      backends: ['sys-usb'],
      history: { enabled: false, events: DEFAULT_CONFIG.history.events, disposables: false },
    })
    expect(load({})).toEqual(DEFAULT_CONFIG)
  })

  it.each([
    [{ timeout: 601 }, 'timeout: '],
    [{ backends: ['dom 0'] }, 'backends.0: not a qube name'],
    [{ history: { events: 9 } }, 'history.events: '],
    [{ history: { rotate: true } }, 'history: '],
    [{ backend: 'sys-usb' }, 'backend'],
  ])('is refused for %j, and told by who looks for faults', (said, why) => {
    expect(() => load(said)).toThrow(why)
    expect(loadConfigOrDefaults(siteFrom({ configDir: directory }))).toEqual({
      config: DEFAULT_CONFIG,
      fault: expect.objectContaining({ message: expect.stringContaining(why) }),
    })
  })

  it('is the default where there is no file', () => {
    expect(loadConfig(siteFrom({ configDir: join(directory, 'none') }))).toEqual(DEFAULT_CONFIG)
  })
})
