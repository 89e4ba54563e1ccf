import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { collectModules, moduleDependencies, WANTED } from '../../../src/lab/kernel/modules.ts'

const module = (depends: string) =>
  Buffer.from(`\x7fELF\0license=GPL\0depends=${depends}\0name=x\0`, 'latin1')

describe('kernel modules', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qusb-modules-'))
  })
  afterEach(async () => await rm(folder, { recursive: true, force: true }))

  const put = async (path: string, content: Buffer | string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }

  it('say what they depend on', () => {
    expect(moduleDependencies(module('usbcore,usb-common'))).toEqual(['usbcore', 'usb_common'])
    expect(moduleDependencies(module(''))).toEqual([])
    expect(moduleDependencies(Buffer.from('no module'))).toEqual([])
  })

  it('come after all that they need, each once, without what is built in', async () => {
    await put('modules.builtin', 'kernel/drivers/usb/common/usb-common.ko\nkernel/drivers/hid/hid.ko\n')
    await put('kernel/drivers/usb/core/usbcore.ko', module('usb-common'))
    for (const name of WANTED)
      await put(`kernel/drivers/${name.replaceAll('_', '-')}.ko`, module('usbcore,hid'))
    const names = (await collectModules(folder, 'busybox')).map(({ name }) => name)
    expect(names).toEqual(['usbcore', ...WANTED])
  })

  it('are missed by name', async () => {
    await put(
      'modules.builtin',
      WANTED.slice(1)
        .map((name) => `kernel/${name}.ko`)
        .join('\n'),
    )
    await expect(collectModules(folder, 'busybox')).rejects.toThrow(WANTED[0])
  })
})
