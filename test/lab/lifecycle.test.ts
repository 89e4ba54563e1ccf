import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { endLab, openLab, type RunningLab, startLab } from '../../src/lab/client.ts'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { endProcess, findProcesses } from '../../src/lab/qrexec/janitor.ts'
import { loadSite } from '../../src/lib/site/site.ts'
import { attach, detachBackend, eventually, LAB_BUNDLE } from './lab-fixture.ts'

const SMALL: LabFileText = {
  qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
  devices: [{ backend: 'sys-usb', port: '1-5', kind: 'thermometer' }],
}

let home: string
let env: NodeJS.ProcessEnv
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'qusb-labs-'))
  env = { ...process.env, QUSB_LAB_DIR: home }
})
afterEach(async () => {
  for (const name of readdirSync(home)) await endLab(name, env)
  rmSync(home, { recursive: true, force: true })
})

const up = (name = 'lab', more: { lifetime?: number; file?: LabFileText | null } = {}): Promise<RunningLab> =>
  startLab({ file: SMALL, name, bundle: LAB_BUNDLE, env, lifetime: 300, ...more })
const processes = () => findProcesses('QUSB_LAB', (dir) => dir.startsWith(home))

describe('a lab', () => {
  it('comes up with its default file, and its site is one that qusb takes', async () => {
    const lab = await up('lab', { file: null })
    const status = await lab.status()
    expect(status.qubes.map(({ name }) => name)).toEqual(['sys-usb', 'work', 'vault', 'untrusted'])
    expect(status.devices.map(({ kind }) => kind).sort()).toEqual(
      ['keyboard', 'security-key', 'stick', 'thermometer', 'webcam', 'webcam'].sort(),
    )
    expect(loadSite(lab.site).qrexecClient).toBe(join(lab.dir, 'dom0/bin/qrexec-client'))
  })

  it('leaves no process and no file after down, whatever is attached', async () => {
    const lab = await up()
    expect((await attach(lab, '1-5', 'work')).code).toBe(0)
    expect(processes().length).toBeGreaterThan(2)
    await lab.down()
    expect(processes()).toEqual([])
    expect(readdirSync(home)).toEqual([])
  })

  it('is found again by its name, and comes up only once', async () => {
    await up()
    expect((await (await openLab('lab', env)).status()).engine).toBe('process')
    await expect(up()).rejects.toThrow('is up already')
  })

  it('says what is wrong with its file', async () => {
    await expect(up('lab', { file: { qubes: [{ name: 'work' }, { name: 'work' }] } })).rejects.toThrow(
      'two qubes are called work',
    )
    await expect(up('lab', { file: { ...SMALL, qubes: [{ name: 'sys-usb' }] } })).rejects.toThrow(
      'no backend',
    )
    await expect(
      up('lab', { file: { ...SMALL, devices: [{ backend: 'sys-usb', kind: 'tablet' }] } }),
    ).rejects.toThrow('kernel engine only')
    expect(readdirSync(home)).toEqual([])
  })

  it('stands beside another one with the same qubes', async () => {
    const [one, other] = [await up('one'), await up('other')]
    expect((await attach(one, '1-5', 'work')).code).toBe(0)
    expect((await other.status()).devices[0]?.attachedTo).toBeNull()
    expect((await attach(other, '1-5', 'work')).code).toBe(0)
    await one.down()
    expect((await detachBackend(other, '1-5')).code).toBe(0)
  })
})

describe('what ends a lab', () => {
  const allGone = () => eventually(processes, (pids) => pids.length === 0)

  it('SIGTERM', async () => {
    const { pid } = await (await up()).status()
    endProcess(pid, 'SIGTERM')
    await allGone()
    expect(readdirSync(home)).toEqual([])
  })

  it('its lifetime', async () => {
    await up('lab', { lifetime: 2 })
    await allGone()
    expect(readdirSync(home)).toEqual([])
  })

  it('the loss of its directory', async () => {
    const lab = await up()
    // Taken away at one blow: a removal file by file fails when the lab still writes into it.
    renameSync(lab.dir, join(home, 'elsewhere'))
    await allGone()
  })

  it('down, when its process was killed', async () => {
    const lab = await up()
    endProcess((await lab.status()).pid)
    await expect(lab.status()).rejects.toThrow('No lab called lab is up')
    expect(processes().length).toBeGreaterThan(0)
    expect(await endLab('lab', env)).toBe(true)
    expect(processes()).toEqual([])
    expect(existsSync(lab.dir)).toBe(false)
  })

  it('up again, over what a killed one left', async () => {
    const { pid } = await (await up()).status()
    endProcess(pid)
    await eventually(processes, (pids) => !pids.includes(pid))
    const again = await up()
    expect((await again.status()).qubes).toHaveLength(2)
    expect(await endLab('nothing', env)).toBe(false)
  })
})
