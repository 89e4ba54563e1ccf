import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

const PROGRAM = `"${process.execPath}" "${resolve('bin/qusb.cjs')}"`
const DEVICES = 32

let root: string
let site: string

/** A site with more aliases than a pipe holds at once. */
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'qusb-slow-'))
  site = join(root, 'site.json')
  mkdirSync(join(root, 'etc'))
  const device = (serial: string) => ({
    vendorId: '1050',
    productId: '0407',
    serial,
    pin: null,
    description: 'Yubico YubiKey',
  })
  const aliases = Array.from({ length: 60 }, (_, i) => ({
    name: `key-${i}`,
    devices: Array.from({ length: DEVICES }, (_, k) => device(`${i}-${k}`)),
  }))
  writeFileSync(join(root, 'etc/aliases.json'), JSON.stringify({ schema: 1, aliases }))
  writeFileSync(site, JSON.stringify({ configDir: join(root, 'etc') }), { mode: 0o600 })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

function run(command: string) {
  const env = { ...process.env, QUSB_SITE: site }
  return spawnSync('/bin/sh', ['-c', command], { env, encoding: 'utf8' })
}

it('gets all that was said, though the program ends as soon as it may', () => {
  const { status, stdout: whole } = run(`${PROGRAM} alias list --json`)
  expect(status).toBe(0)
  expect(whole.length).toBeGreaterThan(2 * 64 * 1024)
  expect(JSON.parse(whole).aliases.at(-1).devices).toHaveLength(DEVICES)
  // By then a program that did not care would be gone.
  expect(run(`${PROGRAM} alias list --json | { sleep 0.5; cat; }`).stdout).toBe(whole)
})

it('is told where nothing can be written', () => {
  expect(run(`${PROGRAM} alias list --json >/dev/full`)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('ENOSPC'),
  })
  // Who has read enough is no error.
  expect(run(`{ ${PROGRAM} alias list --json; echo $? >&2; } | true`).stderr).toBe('0\n')
})
