import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, startBench } from '../e2e/program.ts'
import { DOM0_NODE, makeNodePackage, makeScratchRoot, type ScratchRoot } from './scratch-root.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const HOME = 'usr/lib/node_modules/qusb'
// Where CI cannot have it, that is a fault.
const rpmbuild = spawnSync('rpmbuild', ['--version']).error === undefined || process.env.CI !== undefined

const work = mkdtempSync(join(tmpdir(), 'qusb-package-test-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** Runs `npm run package` in a copy of the sources. @returns the RPM */
function makePackage(sources: string, out: string, env: NodeJS.ProcessEnv = {}): string {
  const run = spawnSync(process.execPath, ['scripts/ts.mjs', 'scripts/package.ts', out], {
    cwd: sources,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  if (run.status !== 0) throw new Error(run.stderr)
  const rpm = readdirSync(out).find((name) => name.endsWith('.noarch.rpm'))
  if (rpm === undefined) throw new Error(`no RPM in ${out}`)
  return join(out, rpm)
}

/** Copies the sources as they are to another place, as another user with other habits would have them. */
function copySources(to: string): void {
  mkdirSync(to)
  const list = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  const names = list.status === 0 ? list.stdout.split('\0').filter((name) => name !== '') : readdirSync(ROOT)
  for (const name of [...names, '.git']) {
    const from = join(ROOT, name)
    if (!existsSync(from) || ['dist', 'node_modules', '.cache'].includes(name)) continue
    mkdirSync(dirname(join(to, name)), { recursive: true })
    cpSync(from, join(to, name), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(to, 'node_modules'))
}

function query(rpm: string, format: string): string {
  return spawnSync('rpm', ['-qp', '--qf', format, rpm], { encoding: 'utf8' }).stdout
}

const node = spawnSync(DOM0_NODE, ['--version'], { encoding: 'utf8' }).stdout.trim()

describe.skipIf(!rpmbuild)(`the package for dom0, with Node ${node}`, () => {
  let rpm: string
  let later: string
  let root: ScratchRoot
  let bench: Bench
  let before: string[]
  let site: string

  beforeAll(async () => {
    rpm = makePackage(ROOT, join(work, 'out'))
    root = makeScratchRoot()
    bench = await startBench()
    before = root.files()
    const lab = JSON.parse(readFileSync(bench.lab.site, 'utf8'))
    site = join(work, 'site.json')
    writeFileSync(site, JSON.stringify({ ...lab, stateDir: join(root.dir, 'var/lib/qusb') }))
  }, 120_000)
  afterAll(async () => {
    await bench?.end()
    root?.end()
  })

  /** Runs the installed program. */
  function qusb(...args: string[]): { code: number | null; stdout: string; stderr: string } {
    const run = spawnSync(DOM0_NODE, [join(root.dir, 'usr/bin/qusb'), ...args], {
      encoding: 'utf8',
      env: { ...bench.env, QUSB_SITE: site },
    })
    return { code: run.status, stdout: run.stdout, stderr: run.stderr }
  }

  it('is the same to the bit, made elsewhere, later, by somebody with other habits', () => {
    const sources = join(work, 'another place')
    copySources(sources)
    const again = makePackage(sources, join(work, 'again'), {
      TZ: 'Asia/Kathmandu',
      LANG: 'de_DE.UTF-8',
      HOSTNAME: 'elsewhere',
      SOURCE_DATE_EPOCH: query(rpm, '%{BUILDTIME}'),
    })
    expect(readFileSync(again).equals(readFileSync(rpm))).toBe(true)
    expect(readFileSync(join(work, 'again/SHA256SUMS'), 'utf8')).toBe(
      readFileSync(join(work, 'out/SHA256SUMS'), 'utf8'),
    )
    expect(spawnSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: join(work, 'out') }).status).toBe(0)
    // And the next version, for the upgrade.
    const packageFile = join(sources, 'package.json')
    const pjson = JSON.parse(readFileSync(packageFile, 'utf8'))
    writeFileSync(packageFile, JSON.stringify({ ...pjson, version: '99.0.0' }))
    later = makePackage(sources, join(work, 'later'))
    expect(query(later, '%{VERSION}')).toBe('99.0.0')
  }, 180_000)

  it('says of which commit it is, and nothing of the machine', () => {
    expect(query(rpm, '%{NAME} %{ARCH} %{BUILDHOST} %{OS}')).toBe('qusb noarch reproducible linux')
    const head = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' })
    expect(query(rpm, '%{VCS}')).toBe(head.status === 0 ? head.stdout.trim() : 'none')
    expect(query(rpm, '%{LICENSE}')).toMatch(/^GPL-2\.0-or-later AND .*MIT/)
    expect(query(rpm, '[%{REQUIRES}\n]').split('\n')).toContain('nodejs(engine)')
  })

  it('wants a Node that is new enough', () => {
    root.rpm('--initdb')
    const alone = root.rpm('-i', rpm)
    expect(alone.code).not.toBe(0)
    expect(alone.said).toContain('nodejs(engine) >= 22 is needed by qusb')
    root.rpm('-i', makeNodePackage(work, '20.19.0'))
    expect(root.rpm('-i', rpm).said).toContain('nodejs(engine) >= 22 is needed by qusb')
    expect(root.rpm('-U', makeNodePackage(work, '22.21.0'))).toEqual({ code: 0, said: '' })
  })

  it('installs', () => {
    expect(root.rpm('-i', rpm)).toEqual({ code: 0, said: '' })
    expect(root.rpm('-V', 'qusb')).toEqual({ code: 0, said: '' })
    const state = statSync(join(root.dir, 'var/lib/qusb'))
    expect((state.mode & 0o7777).toString(8)).toBe('2770')
    expect(root.rpm('-q', '--qf', '[%{FILENAMES} %{FILEGROUPNAME}\n]', 'qusb').said).toContain(
      '/var/lib/qusb qubes\n',
    )
    if (process.getuid?.() === 0) expect(state.gid).toBe(4242)
    for (const file of [
      'usr/share/man/man1/qusb.1',
      'usr/share/man/man1/qusb-attach.1',
      'usr/share/man/man5/qusb.json.5',
      'usr/share/man/man5/qusb.rules.5',
      'usr/share/man/man7/qusb.7',
      'etc/qusb/rules.d',
    ]) {
      expect(existsSync(join(root.dir, file)), file).toBe(true)
    }
  })

  it('makes the code cache of the Node that is there, again for another, and nobody else can write it', () => {
    const bundle = join(root.dir, HOME, 'dist/qusb.cjs')
    const caches = [`${bundle}.cache`, `${bundle}.actions.cache`]
    const first = caches.map((cache) => lstatSync(cache))
    for (const { size, mode } of first) {
      expect(size).toBeGreaterThan(100_000)
      expect((mode & 0o777).toString(8)).toBe('644')
    }
    expect((statSync(dirname(bundle)).mode & 0o777).toString(8)).toBe('755')
    const look = `
      const [bundle] = process.argv.slice(1)
      const fs = require('node:fs')
      const code = fs.readFileSync(bundle, 'latin1')
      for (const name of ['.cache', '.actions.cache']) {
        const cachedData = fs.readFileSync(bundle + name)
        // Under a name that it has met V8 would not look.
        const script = new (require('node:vm').Script)(code, { filename: bundle + name, cachedData })
        process.stdout.write(script.cachedDataRejected + ' ')
      }`
    const looked = spawnSync(DOM0_NODE, ['-e', look, '--', bundle], { encoding: 'utf8' })
    expect(looked.stdout).toBe('false false ')
    expect(root.rpm('-U', makeNodePackage(work, '22.22.0'))).toEqual({ code: 0, said: '' })
    for (const [i, cache] of caches.entries()) expect(lstatSync(cache).ino).not.toBe(first[i]?.ino)
    expect(root.rpm('-V', 'qusb')).toEqual({ code: 0, said: '' })
  })

  it('has no lab, no tests, no fault points, nothing of this machine, and no command without its code', () => {
    const own = root.files().filter((name) => !before.includes(name))
    const files = own.filter((name) => lstatSync(join(root.dir, name)).isFile() && !name.endsWith('.cache'))
    expect(files.length).toBeGreaterThan(20)
    for (const name of files) {
      const text = readFileSync(join(root.dir, name), 'latin1')
      for (const word of [
        'QUSB_FAULT_POINT',
        'QUSB_LAB',
        'src/lab',
        'dist/lab',
        'runDaemon',
        'qusb-lab',
        'sourceMappingURL',
        'vitest',
        'fast-check',
        ROOT,
        work,
      ]) {
        expect(text.includes(word), `${word} in ${name}`).toBe(false)
      }
      expect(/^node_modules\/(esbuild|typescript|@biomejs)\//m.test(text), name).toBe(false)
    }
    const manifest = JSON.parse(readFileSync(join(root.dir, HOME, 'oclif.manifest.json'), 'utf8'))
    const { commands } = JSON.parse(readFileSync(join(ROOT, 'oclif.manifest.json'), 'utf8'))
    const product = Object.keys(commands).filter((id) => !id.startsWith('lab:'))
    expect(product.length).toBeLessThan(Object.keys(commands).length)
    expect(Object.keys(manifest.commands)).toEqual(product)
    expect(qusb('--help').stdout).not.toMatch(/\blab\b/)
    const { code, stderr } = qusb('lab', 'up')
    expect(code).toBe(2)
    expect(stderr).toContain('there is no command "lab"')
  })

  it('comes with a bill of materials and the licences of what is in it', () => {
    const bill = JSON.parse(readFileSync(join(root.dir, 'usr/share/doc/qusb/qusb.cdx.json'), 'utf8'))
    const licences = readFileSync(join(root.dir, 'usr/share/licenses/qusb/THIRD-PARTY'), 'utf8')
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
    const refs = new Set<string>()
    for (const { group, name, version, hashes, licenses, 'bom-ref': ref } of bill.components) {
      const full = group === undefined ? name : `${group}/${name}`
      const [entry] = Object.entries<{ version: string; dev?: boolean; integrity: string }>(
        lock.packages,
      ).filter(([at, one]) => at.endsWith(`node_modules/${full}`) && one.version === version)
      expect(entry?.[1].dev, full).toBeUndefined()
      expect(hashes).toEqual([
        {
          alg: 'SHA-512',
          content: Buffer.from(entry?.[1].integrity.slice(7) ?? '', 'base64').toString('hex'),
        },
      ])
      expect(licences).toContain(`${full} ${version} (${licenses[0].license.id})`)
      refs.add(ref)
    }
    for (const name of ['zod', 'execa', 'cli-table3', 'inquirer']) {
      expect(bill.components.some((one: { name: string }) => one.name === name)).toBe(true)
    }
    // Each hangs on something that hangs on the program.
    const edges = new Map<string, string[]>(
      bill.dependencies.map((one: { ref: string; dependsOn: string[] }) => [one.ref, one.dependsOn]),
    )
    const reached = new Set<string>()
    const reach = (ref: string): void => {
      for (const next of edges.get(ref) ?? []) if (reached.size < reached.add(next).size) reach(next)
    }
    reach(bill.metadata.component['bom-ref'])
    expect([...reached].sort()).toEqual([...refs].sort())
  })

  it('runs: lists, attaches and detaches', () => {
    const listed = qusb('list', '--json')
    // Nor does its Node complain.
    expect(listed.stderr).toBe('')
    expect(JSON.parse(listed.stdout).devices).toContainEqual(
      expect.objectContaining({ backend: 'sys-usb', port: '2-1', state: 'free' }),
    )
    const attached = qusb('attach', 'sys-usb', '2-1', 'work', '--json')
    expect(attached.stderr).toBe('')
    expect(JSON.parse(attached.stdout)).toMatchObject({ changed: true, attachment: { frontend: 'work' } })
    expect(JSON.parse(qusb('detach', 'sys-usb', '2-1', '--json').stdout)).toMatchObject({ changed: true })
  })

  it('completes: the shells find their functions, and the program prints them', () => {
    for (const [shell, path] of [
      ['bash', 'usr/share/bash-completion/completions/qusb'],
      ['zsh', 'usr/share/zsh/site-functions/_qusb'],
      ['fish', 'usr/share/fish/vendor_completions.d/qusb.fish'],
    ]) {
      const printed = qusb('completion', shell ?? '')
      expect(printed.code, printed.stderr).toBe(0)
      expect(readFileSync(join(root.dir, path ?? ''), 'utf8')).toBe(printed.stdout)
    }
  })

  it('is upgraded over the state file of an older one', () => {
    expect(qusb('attach', 'sys-usb', '2-1', 'work').code).toBe(0)
    const file = join(root.dir, 'var/lib/qusb/state.json')
    const { attachments } = JSON.parse(readFileSync(file, 'utf8'))
    expect(attachments).toHaveLength(1)
    // As it was before there was a number.
    writeFileSync(file, JSON.stringify({ attachments }))
    // A cache that cannot be made again must not stay: it is of another bundle.
    const installed = join(root.dir, 'usr/bin/node')
    const caches = ['.cache', '.actions.cache'].map((name) => join(root.dir, HOME, `dist/qusb.cjs${name}`))
    renameSync(installed, `${installed}.away`)
    expect(root.rpm('-U', later)).toEqual({ code: 0, said: '' })
    expect(root.rpm('-q', 'qusb').said).toContain('qusb-99.0.0-')
    expect(caches.map((cache) => existsSync(cache))).toEqual([false, false])
    expect(qusb('--version').stdout).toContain('qusb/99.0.0')
    renameSync(`${installed}.away`, installed)
    expect(root.rpm('-U', '--replacepkgs', later)).toEqual({ code: 0, said: '' })
    expect(caches.map((cache) => existsSync(cache))).toEqual([true, true])
    expect(JSON.parse(qusb('list', '--attached', '--json').stdout)).toMatchObject({
      devices: [{ port: '2-1', attachedTo: 'work', drift: null, by: { rule: null } }],
      warnings: [],
    })
    const detached = qusb('detach', 'sys-usb', '2-1')
    expect(detached.stderr).toBe('')
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ schema: 1, attachments: [] })
  })

  it('is removed, and leaves nothing but the state', () => {
    expect(root.rpm('-e', 'qusb')).toEqual({ code: 0, said: '' })
    // What stands for Node stays; and the directories of any system are not in the scratch root from the beginning.
    const isOurs = (name: string): boolean =>
      name.includes('qusb') ||
      !(name.startsWith('usr/bin/node') || lstatSync(join(root.dir, name)).isDirectory())
    const left = root.files().filter((name) => !before.includes(name) && isOurs(name))
    const state = left.filter((name) => name.startsWith('var/lib/qusb/'))
    expect(state).toContain('var/lib/qusb/state.json')
    expect(left.filter((name) => !state.includes(name))).toEqual(['var/lib/qusb'])
  })
})
