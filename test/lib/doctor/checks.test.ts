import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import vm from 'node:vm'
import { afterAll, describe, expect, it } from 'vitest'
import type { Check, Examination, Finding } from '../../../src/lib/doctor/check.ts'
import { groupCheck } from '../../../src/lib/doctor/checks/dom0.ts'
import { codeCacheCheck, isAtLeast, LEAST_NODE, nodeCheck } from '../../../src/lib/doctor/checks/program.ts'
import { portsCheck } from '../../../src/lib/doctor/checks/qubes.ts'
import { CHECKS } from '../../../src/lib/doctor/checks.ts'

const scratch = mkdtempSync(join(tmpdir(), 'qusb-checks-'))
afterAll(() => rmSync(scratch, { recursive: true }))

/** Runs a check on what it looks at. */
async function run(check: Check, examination: object): Promise<Finding> {
  const [first] = await check.run(examination as Examination)
  if (first === undefined) throw new Error(`${check.id} found nothing at all`)
  return first
}

it('every check has an id of its own, and tells the manual what it looks at', () => {
  expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length)
  for (const { id, about } of CHECKS) {
    expect(id).toMatch(/^[a-z0-9-]+$/)
    expect(about).toMatch(/^[A-Z].*\.$/)
  }
})

describe('Node.js', () => {
  it('is as package.json wants it', async () => {
    expect(JSON.parse(readFileSync('package.json', 'utf8')).engines.node).toBe(`>=${LEAST_NODE}`)
    expect(await run(nodeCheck, { program: { node: process.version } })).toMatchObject({ state: 'ok' })
    expect(await run(nodeCheck, { program: { node: 'v18.20.4' } })).toMatchObject({ state: 'error' })
  })

  it.each([
    ['v20.19.0', true],
    ['v20.18.9', false],
    ['v20.20.0', true],
    ['v22.1.0', true],
    ['v100.0.0', true],
    ['v9.99.99', false],
    ['nonsense', false],
  ])('%s', (version, enough) => {
    expect(isAtLeast(version, '20.19.0')).toBe(enough)
  })
})

describe('the code cache', () => {
  const bundle = join(scratch, 'qusb.cjs')
  const look = async (): Promise<Finding> => await run(codeCacheCheck, { program: { bundle } })

  it('of the build fits', async () => {
    const built = resolve('dist/qusb.cjs')
    expect(await run(codeCacheCheck, { program: { bundle: built } })).toMatchObject({ state: 'ok' })
  })

  const cacheOf = (file: string): Buffer => new vm.Script(readFileSync(file, 'latin1')).createCachedData()

  it('is missing, or of something else', async () => {
    writeFileSync(bundle, 'module.exports = 1')
    expect(await look()).toMatchObject({ state: 'warning', message: expect.stringContaining('there is no') })
    for (const name of ['.cache', '.actions.cache']) {
      writeFileSync(`${bundle}${name}`, 'garbage')
      expect(await look()).toMatchObject({
        state: 'warning',
        message: expect.stringContaining('is not used'),
      })
      // Then the other one is to blame.
      writeFileSync(`${bundle}${name}`, cacheOf(bundle))
    }
    expect(await look()).toMatchObject({ state: 'ok' })
  })
})

describe('the group', () => {
  const directory = join(scratch, 'run')
  mkdirSync(directory)
  chmodSync(directory, 0o2770)
  const { uid, gid } = statSync(directory)
  const look = async (user: { uid: number; groups: number[] }, qubesRunDir = directory): Promise<Finding> =>
    await run(groupCheck, { context: { site: { qubesRunDir } }, user: { name: 'joanna', ...user } })

  it('is had', async () => {
    expect(await look({ uid: 0, groups: [] })).toMatchObject({ state: 'ok' })
    expect(await look({ uid: uid + 1000, groups: [gid] })).toMatchObject({ state: 'ok' })
  })

  it('is not had', async () => {
    expect(await look({ uid: uid + 1000, groups: [gid + 1000] })).toMatchObject({
      state: 'error',
      code: 'REFUSED',
      fix: 'sudo usermod -aG qubes joanna, then log in again.',
    })
  })

  it('there is no qrexec', async () => {
    expect(await look({ uid: 0, groups: [] }, join(scratch, 'nothing'))).toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('the virtual USB ports', () => {
  const row = (hub: string, status: number): object => ({ hub, status, port: '0000' })
  const look = async (vhci: object[] | null, named: string[] = []): Promise<Finding> =>
    await run(portsCheck, {
      qubes: ['work'],
      named: new Set(named),
      backends: [],
      sockets: new Map(),
      seen: { surveys: new Map([['work', { qube: 'work', asFrontend: { vhci } }]]) },
    })

  it('are free', async () => {
    expect(await look([row('hs', 4), row('hs', 6), row('ss', 4)])).toMatchObject({ state: 'ok' })
  })

  it('are all taken, or there is no controller', async () => {
    expect(await look([row('hs', 4), row('ss', 6)])).toMatchObject({
      state: 'warning',
      message: 'work has no free port for a USB 3 device: all 1 are taken',
    })
    expect(await look(null)).toMatchObject({ state: 'warning', message: expect.stringContaining('vhci-hcd') })
    expect(await look(null, ['work'])).toMatchObject({ state: 'error', code: 'NO_PROXY' })
  })
})
