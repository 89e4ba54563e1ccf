import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const directory = mkdtempSync(join(tmpdir(), 'qusb-start-up-'))
afterAll(() => rmSync(directory, { recursive: true }))

// Tells at the end of a run which of Node's own modules were loaded, and whether the code cache was taken.
const spy = join(directory, 'spy.cjs')
writeFileSync(
  spy,
  `const vm = require('node:vm')
const Script = vm.Script
let rejected = 'not used', bytes = 0
vm.Script = class extends Script {
  constructor(code, options) {
    super(code, options)
    if (!options?.cachedData) return
    rejected = this.cachedDataRejected
    bytes = options.cachedData.length
  }
}
process.on('exit', () => {
  const modules = process.moduleLoadList.filter((name) => name.startsWith('NativeModule ')).map((name) => name.slice(13))
  require('node:fs').writeFileSync(process.env.SPY_FILE, JSON.stringify({ modules, rejected, bytes }))
})`,
)

function start(...args: string[]): { modules: string[]; rejected: unknown; bytes: number; stdout: string } {
  const file = join(directory, 'told.json')
  const { stdout } = spawnSync(process.execPath, ['--require', spy, resolve('bin/qusb.cjs'), ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: directory, SHELL: '/bin/sh', SPY_FILE: file },
  })
  return { ...JSON.parse(readFileSync(file, 'utf8')), stdout }
}

describe('a start of the built program', () => {
  it('takes the code cache', () => {
    expect(start('--version').rejected).toBe(false)
  })

  it.each([
    ['list', 'dist/qusb.cjs.cache'],
    ...['attach', 'detach', 'move', 'run'].map(
      (command) => [command, 'dist/qusb.cjs.actions.cache'] as const,
    ),
  ] as const)('takes the one that was made for such commands: %s', (command, cache) => {
    expect(start(command, '--help')).toMatchObject({ rejected: false, bytes: statSync(cache).size })
  })

  it('loads no network module, no cryptography and no readline to tell its version', () => {
    const { modules, stdout } = start('--version')
    expect(stdout).toMatch(/^qusb\/\d+\.\d+\.\d+ /)
    expect(modules).toContain('fs')
    for (const heavy of ['http', 'https', 'tls', 'dns', 'http2', 'crypto', 'readline', 'inspector']) {
      expect(modules, heavy).not.toContain(heavy)
    }
  })

  it('loads none of them to list either', () => {
    const { modules } = start('list')
    // The first three Node compiles anew at each start.
    for (const heavy of [
      'os',
      'tty',
      'timers/promises',
      'http',
      'https',
      'tls',
      'http2',
      'crypto',
      'readline',
      'inspector',
    ]) {
      expect(modules, heavy).not.toContain(heavy)
    }
  })

  it('has no editor prompt, no iconv-lite and no fault point in the bundle', () => {
    const bundle = readFileSync('dist/qusb.cjs', 'utf8')
    for (const left of [
      'node_modules/iconv-lite/',
      'node_modules/chardet/',
      'node_modules/typescript/',
      'src/lab/',
    ]) {
      expect(bundle.includes(left), left).toBe(false)
    }
  })
})
