import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runScript } from '../../../src/lab/kernel/guest.ts'
import { buildBase, packQube } from '../../../src/lab/kernel/image.ts'
import {
  becomeQube,
  type KeepOptions,
  type KeptMachine,
  keepMachine,
  startGuest,
} from '../../../src/lab/kernel/kept-machine.ts'
import { getParts } from '../../../src/lab/kernel/parts.ts'
import type { Vm } from '../../../src/lab/kernel/vm.ts'

const why = await getParts().then(
  () => null,
  (error: Error) => {
    if (process.env.CI === 'true') throw error
    return error.message
  },
)

describe.skipIf(why !== null)(`a machine that is kept${why === null ? '' : ` (${why})`}`, () => {
  let folder = ''
  let options: KeepOptions
  const said: string[] = []
  const started: Vm[] = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qusb-kept-'))
    const parts = await getParts()
    const log = (line: string) => said.push(line)
    options = { parts, base: await buildBase(parts), usb: false, cache: folder, log }
  })
  afterAll(async () => {
    await Promise.all(started.map((vm) => vm.kill()))
    await rm(folder, { recursive: true, force: true })
  })

  const start = async (kept: KeptMachine, name: string) => {
    const vm = await startGuest(options.parts, kept, { name, folder, usb: false, hubPort: 1 })
    started.push(vm)
    const own = { name, domid: 1, token: `token-of-${name}`, publishes: 'full', profileNoise: '' } as const
    await becomeQube(vm, kept, packQube({ ...own, services: [`${name}-service`], programs: {} }))
    const sh = async (token: string, script: string) =>
      (await runScript({ door: { port: vm.doorPort, token } }, script, 10_000)).stdout.trim()
    return { sh: async (script: string) => await sh(own.token, script), as: sh }
  }
  const sum = async (file: string) =>
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex')

  it('boots once, for all who want it, and qubes go on from it that share nothing', async () => {
    const [kept, other] = await Promise.all([keepMachine(options), keepMachine(options)])
    expect(await keepMachine(options)).toEqual(kept)
    expect(other).toEqual(kept)
    expect(said).toHaveLength(1)
    const before = await sum(kept.memory)

    const [work, vault] = await Promise.all([start(kept, 'work'), start(kept, 'vault')])
    await work.sh('echo secret > /tmp/file')
    expect(await vault.sh('hostname; ls /tmp /run/qubes-service')).toBe(
      'vault\n/run/qubes-service:\nvault-service\n\n/tmp:',
    )
    expect(await work.sh('hostname; cat /tmp/file')).toBe('work\nsecret')
    expect(Math.abs(Number(await vault.sh('date +%s')) - Date.now() / 1000)).toBeLessThan(60)
    // Neither the machine's own word nor another qube's opens its door.
    for (const token of [kept.token, 'token-of-vault'])
      await expect(work.as(token, 'hostname')).rejects.toThrow('the agent does not')
    expect(await sum(kept.memory)).toBe(before)
  }, 300_000)

  it('is another one for another image', async () => {
    const before = await readdir(join(folder, 'machines'))
    const changed = { ...options, parts: { ...options.parts, kernel: '/dev/null' } }
    await expect(keepMachine(changed)).rejects.toThrow(/machine|QEMU/)
    // What did not boot is not kept.
    const after = (await readdir(join(folder, 'machines'))).filter((name) => !name.endsWith('.lock'))
    expect(after).toEqual(before.filter((name) => !name.endsWith('.lock')))
  })
})
