import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

const PROGRAM = resolve('bin/qusb.cjs')

let directory: string

/** A user's data directory that names a plugin, as `oclif plugins link` would leave it. */
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qusb-plugin-'))
  const plugin = join(directory, 'plugin')
  const files = {
    'qusb/package.json': {
      name: 'qusb',
      oclif: { plugins: [{ type: 'link', name: 'foreign', root: plugin }] },
    },
    'plugin/package.json': {
      name: 'foreign',
      version: '1.0.0',
      oclif: { commands: './commands', hooks: { init: './hook.cjs' } },
    },
    'plugin/oclif.manifest.json': { version: '1.0.0', commands: {} },
    'plugin/hook.cjs': "module.exports = async () => console.log('foreign code runs')",
  }
  for (const [name, content] of Object.entries(files)) {
    const file = join(directory, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  }
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

it.each([
  ['XDG_DATA_HOME', '', '--version', /^qusb\/\S+ \S+ \S+\n$/],
  ['QUSB_DATA_DIR', 'qusb', '--version', /^qusb\/\S+ \S+ \S+\n$/],
  // A command that is named outright goes another way.
  ['XDG_DATA_HOME', '', 'schema', /^list /m],
])('no code is run that a data directory names: %s, %s, %s', (variable, below, word, expected) => {
  const env = { ...process.env, [variable]: join(directory, below), NODE_ENV: 'development' }
  const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM, word], {
    env,
    encoding: 'utf8',
  })
  expect({ stdout, stderr, status }).toEqual({
    stdout: expect.stringMatching(expected),
    stderr: '',
    status: 0,
  })
})
