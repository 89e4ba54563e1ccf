import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endMachines, startMachines, whyNoMachines } from './kernel-lab.ts'
import type { Bench } from './program.ts'

const why = await whyNoMachines()

describe.skipIf(why !== null)(`rules about real kernels' devices${why === null ? '' : ` (${why})`}`, () => {
  let bench: Bench

  beforeAll(async () => {
    bench = await startMachines({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
      devices: [{ backend: 'sys-usb', kind: 'qemu-stick', port: '2-1', serial: 'STICK', sizeMiB: 1 }],
    })
  })
  afterAll(async () => await endMachines(bench, ['sys-usb', 'work']))

  const qusb = async (...words: string[]) => {
    const ran = await bench.qusb(...words, '--json')
    expect(ran.code, ran.stderr + ran.stdout).toBe(0)
    return ran.json
  }

  it('are about what the kernel says that a device is', async () => {
    expect(await qusb('rule', 'test', 'sys-usb', '2-1')).toMatchObject({ outcome: 'nothing' })
    const { rules } = await qusb('rule', 'add', 'sys-usb', '2-1', 'work')
    expect(rules).toMatchObject([{ device: expect.stringMatching(/^[0-9a-f]{4}:[0-9a-f]{4}@STICK$/) }])
    await qusb('rule', 'add', 'class:camera', 'work', '--first')
    const explained = await qusb('explain', 'sys-usb', '2-1')
    expect(explained).toMatchObject({
      outcome: 'attached',
      frontend: 'work',
      considered: [{ outcome: 'no-match', why: 'it is storage, not camera' }, { outcome: 'wins' }],
    })
  })

  it('that are suggested do what is attached', async () => {
    await qusb('attach', 'sys-usb', '2-1', 'work')
    const { suggestions } = await qusb('rule', 'suggest')
    expect(suggestions).toMatchObject([{ rule: { frontend: 'work' }, already: { frontend: 'work' } }])
    expect(await qusb('rule', 'test', 'sys-usb', '2-1')).toMatchObject({ outcome: 'attached' })
    await qusb('detach', 'sys-usb', '2-1')
  })
})
