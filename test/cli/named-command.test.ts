import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

let root: string

/** The program beside a manifest that nobody can read: who reads it says so. */
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'qusb-named-'))
  for (const name of ['bin', 'dist/qusb.cjs', 'share']) {
    cpSync(resolve(name), join(root, name), { recursive: true })
  }
  cpSync(resolve('package.json'), join(root, 'package.json'))
  writeFileSync(join(root, 'oclif.manifest.json'), 'no manifest')
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

function qusb(...args: string[]) {
  return spawnSync(process.execPath, [join(root, 'bin/qusb.cjs'), ...args], { encoding: 'utf8' })
}

it.each([[['schema']], [['completion', 'bash']], [['list', '--nope']], [['rule', 'check', '--nope']]])(
  'reads no manifest for %j',
  (args) => {
    expect(qusb(...args).stderr).not.toContain('manifest')
  },
)

it.each([[['list', '--help']], [['rule']], [['--help']]])('reads it for %j', (args) => {
  expect(qusb(...args).stderr).toContain('manifest')
})

it('needs no description of the package for a command', () => {
  rmSync(join(root, 'package.json'))
  expect(qusb('schema')).toMatchObject({ status: 0, stderr: '' })
  expect(qusb('completion', 'bash')).toMatchObject({ status: 0, stderr: '' })
  expect(qusb('--version').stderr).toContain('package.json')
})
