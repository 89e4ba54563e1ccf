import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Metafile } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findBundled, findDirect } from '../../scripts/package/bundled.ts'
import { placeShare, writeFileList } from '../../scripts/package/payload.ts'
import { collectEntries } from '../../scripts/package/program.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'qusb-payload-'))
})
afterEach(() => rmSync(root, { recursive: true }))

function write(name: string, content: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true })
  writeFileSync(join(root, name), content)
}

describe('the package', () => {
  it('can be made of the sources as they are', () => {
    write('built', '')
    write('types/index.d.ts', '')
    const sources = resolve(import.meta.dirname, '../..')
    const built = join(root, 'built')
    const entries = collectEntries(sources, {
      program: built,
      library: built,
      types: join(root, 'types'),
      manifest: JSON.parse(readFileSync(join(sources, 'oclif.manifest.json'), 'utf8')),
      papers: { bill: '{}', licences: '', expression: 'MIT' },
    })
    const launcher = entries.find(({ path }) => path.endsWith('/bin/qusb.cjs'))
    expect(launcher).toMatchObject({ kind: 'file', mode: 0o755 })
    const { content } = launcher as { content: string }
    expect(content).toMatch(/^#!\/usr\/bin\/node\n/)
    expect(content).not.toContain('lab')
  })
})

describe('what is under share/', () => {
  it('goes to its place in dom0, scripts as programs', () => {
    write('tmpfiles.d/qusb.conf', 'd /run/qusb\n')
    write('suspend-post.d/qusb.sh', '#!/bin/sh\n')
    write('completions/_qusb', '#compdef qusb\n')
    write('systemd/qusb-watch@.service', '[Unit]\n')
    // The bundle has its text.
    write('usb-qube/99-zz-qusb.rules', '')
    const placed = placeShare(root).map((entry) => [
      entry.path,
      entry.kind === 'file' ? entry.mode : entry.kind === 'link' && entry.target,
    ])
    expect(placed).toEqual([
      ['/usr/lib/node_modules/qusb/share/completions/_qusb', 0o644],
      ['/usr/share/zsh/site-functions/_qusb', '../../../lib/node_modules/qusb/share/completions/_qusb'],
      ['/etc/qubes/suspend-post.d/qusb.sh', 0o755],
      ['/usr/lib/systemd/system/qusb-watch@.service', 0o644],
      ['/usr/lib/tmpfiles.d/qusb.conf', 0o644],
    ])
  })

  it.each(['cron.d/qusb', 'completions/qusb.ksh', 'qusb.conf'])(
    'is not left out by oversight: %s',
    (name) => {
      write(name, '')
      expect(() => placeShare(root)).toThrow(`share/${name} has no place in dom0`)
    },
  )

  it('is listed with owner and mode, configuration as such', () => {
    expect(
      writeFileList([
        { kind: 'file', path: '/etc/qubes/policy.d/30-qusb.policy', mode: 0o644, content: '' },
        { kind: 'directory', path: '/var/lib/qusb', mode: 0o2770, group: 'qubes' },
        { kind: 'link', path: '/usr/bin/qusb', target: '../x' },
      ]),
    ).toBe(
      '%config(noreplace) %attr(0644,root,root) /etc/qubes/policy.d/30-qusb.policy\n' +
        '%dir %attr(2770,root,qubes) /var/lib/qusb\n' +
        '%attr(-,root,root) /usr/bin/qusb\n',
    )
  })
})

describe('what is bundled of others', () => {
  /** A bundle of our main.ts, which imports a; a imports b, and c of which nothing is left. */
  const metafile = {
    inputs: {
      'src/main.ts': { imports: [{ path: 'node_modules/a/index.js' }] },
      'node_modules/a/index.js': {
        imports: [{ path: 'node_modules/a/node_modules/@x/b/b.js' }, { path: 'node_modules/c/c.js' }],
      },
      'node_modules/a/node_modules/@x/b/b.js': { imports: [] },
      'node_modules/c/c.js': { imports: [] },
    },
    outputs: {
      'out.cjs': {
        inputs: {
          'src/main.ts': { bytesInOutput: 9 },
          'node_modules/a/index.js': { bytesInOutput: 9 },
          'node_modules/a/node_modules/@x/b/b.js': { bytesInOutput: 9 },
          'node_modules/c/c.js': { bytesInOutput: 0 },
        },
      },
    },
  } as unknown as Metafile

  function install(directory: string, license: unknown, text: string | null = 'Do what you want.'): void {
    const name = directory.replace(/.*node_modules\//, '')
    write(`${directory}/package.json`, JSON.stringify({ name, version: '1.0.0', license }))
    if (text !== null) write(`${directory}/license.md`, text)
  }

  beforeEach(() => {
    const packages = Object.fromEntries(
      ['node_modules/a', 'node_modules/a/node_modules/@x/b'].map((at) => [at, { integrity: 'sha512-AA==' }]),
    )
    write('package-lock.json', JSON.stringify({ packages }))
    install('node_modules/a', 'MIT')
  })

  it('is found by what the bundle is made of, with its licences', () => {
    install('node_modules/a/node_modules/@x/b', 'ISC')
    const bundled = findBundled(root, [metafile])
    expect([...bundled]).toMatchObject([
      [
        'node_modules/a',
        {
          name: 'a',
          licence: 'MIT',
          texts: ['Do what you want.'],
          uses: ['node_modules/a/node_modules/@x/b'],
        },
      ],
      ['node_modules/a/node_modules/@x/b', { name: '@x/b', licence: 'ISC', uses: [] }],
    ])
    expect(findDirect([metafile], bundled)).toEqual(['node_modules/a'])
  })

  it.each([
    ['none', undefined, 'its licence, undefined, is none of'],
    ['one that may not be bundled', 'SSPL-1.0', 'its licence, "SSPL-1.0", is none of'],
  ])('is refused with a licence that is %s', (_, license, message) => {
    install('node_modules/a/node_modules/@x/b', license)
    expect(() => findBundled(root, [metafile])).toThrow(message)
  })

  it.each([
    ['without', null],
    ['with an empty', '\n'],
  ])('is refused %s text of its licence', (_, text) => {
    install('node_modules/a/node_modules/@x/b', 'MIT', text)
    expect(() => findBundled(root, [metafile])).toThrow('@x/b comes without the text of its licence')
  })
})
