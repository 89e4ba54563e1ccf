import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import watchUnit from '../../../share/systemd/qusb-watch@.service'
import type { QubeName } from '../../../src/lib/model/names.ts'
import { renderInstall } from '../../../src/lib/qubes/installed-files.ts'
import { keptFiles, runningFiles } from '../../../src/lib/setup/pieces.ts'

const directory = mkdtempSync(join(tmpdir(), 'qusb-pieces-'))
afterAll(() => rmSync(directory, { recursive: true }))

const NAME = 'sys-usb' as QubeName
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0

describe('what is installed in a USB qube', () => {
  it('is for that USB qube alone where others share its disk', () => {
    for (const kind of ['private', 'disposable'] as const) {
      const loader = keptFiles(kind, NAME).find(({ path }) => path.endsWith('.rc'))
      expect(loader).toMatchObject({
        mode: '0755',
        content: expect.stringContaining(' = sys-usb ] || exit 0'),
      })
    }
    const unit = keptFiles('system', NAME).find(
      ({ path }) => path.endsWith('qusb-notify.path') && !path.includes('wants'),
    )
    expect(unit).toMatchObject({
      content: expect.stringContaining('ConditionPathExists=/run/qubes-service/qusb\n'),
    })
    for (const file of runningFiles())
      expect('content' in file && file.content).not.toContain('ConditionPathExists')
    for (const file of keptFiles('private', NAME))
      expect('content' in file && file.content).not.toContain('@QUBE@')
  })

  it('is put in place by a script that a shell reads', () => {
    for (const kind of ['private', 'disposable', 'system'] as const) {
      const script = renderInstall(keptFiles(kind, NAME))
      expect(spawnSync('/bin/sh', ['-n'], { input: script }).status).toBe(0)
    }
  })

  it('refuses a path or a text that a script would read otherwise', () => {
    expect(() => renderInstall([{ path: '/a b', content: 'x\n', mode: '0644' }])).toThrow()
    expect(() => renderInstall([{ path: '/a', content: 'QUSB_END_OF_FILE\nrm\n', mode: '0644' }])).toThrow()
    expect(() => renderInstall([{ path: '/a', target: '$(x)' }])).toThrow()
  })

  it.skipIf(!hasAnalyze)('is units that systemd understands', () => {
    const units = keptFiles('private', NAME).flatMap((file) =>
      'content' in file && /\.(path|service)$/.test(file.path) ? [file] : [],
    )
    const watch = join(directory, 'qusb-watch@root.service')
    writeFileSync(watch, watchUnit.replace('ExecStart=qusb ', 'ExecStart=/usr/bin/true '))
    const files = units.map(({ path, content }) => {
      const file = join(directory, path.slice(path.lastIndexOf('/') + 1))
      // What it would run is in a USB qube, not here.
      writeFileSync(file, content.replace('/usr/bin/qrexec-client-vm', '/usr/bin/true'))
      return file
    })
    const { stderr, status } = spawnSync('systemd-analyze', ['verify', '--man=no', watch, ...files], {
      encoding: 'utf8',
    })
    expect({ stderr: stderr.split('\n').filter((line) => line.includes('qusb')), status }).toEqual({
      stderr: [],
      status: 0,
    })
  })
})
