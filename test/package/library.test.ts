import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, startBench, until } from '../e2e/program.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const work = mkdtempSync(join(tmpdir(), 'qusb-library-'))
const installed = join(work, 'node_modules/qusb')
let bench: Bench

/** Puts the packed library, and nothing else, into a project. */
beforeAll(async () => {
  const pack = spawnSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', work], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect(pack.status, pack.stderr).toBe(0)
  mkdirSync(installed, { recursive: true })
  const tar = spawnSync('tar', [
    'xzf',
    join(work, pack.stdout.trim()),
    '-C',
    installed,
    '--strip-components=1',
  ])
  expect(tar.status).toBe(0)
  writeFileSync(join(work, 'package.json'), '{ "type": "module" }\n')
  bench = await startBench()
}, 120_000)
afterAll(async () => {
  await bench?.end()
  rmSync(work, { recursive: true, force: true })
})

/** Runs a program that uses the library on the lab. @returns what it prints, which must be JSON */
function run(program: string, env: NodeJS.ProcessEnv = {}): unknown {
  const file = join(work, 'program.mjs')
  writeFileSync(file, program)
  const ran = spawnSync(process.execPath, [file], { encoding: 'utf8', env: { ...bench.env, ...env } })
  expect(ran.stderr).toBe('')
  return JSON.parse(ran.stdout)
}

describe('the library', () => {
  it('is packed with what it needs, without tests and fault points', () => {
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
    expect(files).toEqual(expect.arrayContaining(['dist/library.mjs', 'dist/types/index.d.ts', 'LICENSE']))
    expect(files.filter((name) => /fault-points|\.cache$|^test/.test(name))).toEqual([])
    expect(readFileSync(join(installed, 'dist/library.mjs'), 'utf8')).not.toContain('QUSB_FAULT_POINT')
  })

  it('has types that hold by themselves', () => {
    const config = {
      compilerOptions: {
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2023', 'dom'],
        types: [],
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
      },
      files: ['program.ts'],
    }
    writeFileSync(join(work, 'tsconfig.json'), JSON.stringify(config))
    writeFileSync(
      join(work, 'program.ts'),
      `import { attach, type Device, detach, EXIT_CODES, explain, list, move, QusbError, watch, type WatchEvent } from 'qusb'

const { devices, warnings } = await list({ backends: ['sys-usb'], signal: AbortSignal.timeout(1000) })
const free: Device[] = devices.filter((device) => device.state === 'free')
const ports: string[] = free.map(({ port }) => port)
const changed: boolean = (await attach('sys-usb:2-1', 'work', { force: true })).changed
const from: string | null = (await move('red-key', 'vault', { waitMs: null, retries: 1 })).from
const file: string | undefined = (await explain('red-key')).rule?.file
await detach({ device: 'sys-usb:2-1', from: 'work' }, { dryRun: true })
await detach({ from: 'work' })
await detach({ all: true })
for await (const event of watch({ everyMs: 1000 })) {
  const told: WatchEvent = event
  if (told.event === 'device-added') break
}
const code: number = EXIT_CODES[new QusbError('NOT_FOUND', 'gone').code]
console.log(ports, changed, from, file, code, warnings[0]?.message)

// @ts-expect-error a device is named by one word
await attach(['sys-usb', '2-1'], 'work')
// @ts-expect-error a move takes it from whoever has it
await move('red-key', 'vault', { replace: false })
// @ts-expect-error one or the other
await detach({})
// @ts-expect-error there is no such state
devices[0]?.state === 'gone'
`,
    )
    const tsc = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', work], {
      encoding: 'utf8',
    })
    expect(tsc.stdout).toBe('')
    expect(tsc.status).toBe(0)
  })

  it('lists, attaches and detaches, as the command does', async () => {
    const { listed, attached, again } = run(`
      import { attach, list } from 'qusb'
      const listed = await list({ backends: ['sys-usb'] })
      const attached = await attach('sys-usb:2-1', 'work')
      const again = await attach('sys-usb:2-1', 'work')
      console.log(JSON.stringify({ listed, attached, again }))`) as Record<string, { changed: boolean }>
    expect(listed).toMatchObject({ schema: 1, warnings: [] })
    expect(attached).toMatchObject({
      schema: 1,
      changed: true,
      attachment: { port: '2-1', frontend: 'work' },
    })
    expect(again).toMatchObject({ changed: false })
    // The command sees what the library did.
    expect(await bench.device('2-1')).toMatchObject({ attachedTo: 'work', drift: null })
    const { json } = await bench.qusb('list', '--attached', '--json')
    const library = run(`
      import { list } from 'qusb'
      console.log(JSON.stringify(await list({ attached: true })))`)
    expect(library).toEqual(json)
    const detached = run(`
      import { detach } from 'qusb'
      console.log(JSON.stringify(await detach({ device: 'sys-usb:2-1', from: 'work' })))`)
    expect(detached).toMatchObject({ changed: true, attachment: { port: '2-1', frontend: 'work' } })
    await expectClean(bench, '2-1', 'work')
  })

  it('waits for a device by its alias, and moves it', async () => {
    await bench.qusb('alias', 'add', 'red-stick', 'sys-usb', '2-1')
    const { serial } = await bench.device('2-1')
    await bench.lab.unplug('sys-usb', '2-1')
    const file = join(work, 'waiting.mjs')
    writeFileSync(
      file,
      `import { attach, move } from 'qusb'
      const progress = (what) => console.error(what)
      const attached = await attach('red-stick', 'work', { waitMs: 30_000, retries: 2, progress })
      const moved = await move('red-stick', 'vault')
      console.log(JSON.stringify({ attached, moved }))`,
    )
    const waiting = spawn(process.execPath, [file], { env: bench.env })
    let told = ''
    let said = ''
    waiting.stdout.setEncoding('utf8').on('data', (text) => {
      told += text
    })
    waiting.stderr.setEncoding('utf8').on('data', (text) => {
      said += text
    })
    const ended = once(waiting, 'close')
    await until('it waits', () => said.includes('waiting for red-stick') || waiting.exitCode !== null)
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', serial })
    await ended
    const { attached, moved } = JSON.parse(told)
    expect(attached).toMatchObject({ changed: true, from: null, attachment: { frontend: 'work' } })
    expect(moved).toMatchObject({ changed: true, from: 'work', attachment: { frontend: 'vault' } })
    await bench.qusb('detach', 'red-stick')
    await expectClean(bench, '2-1', 'vault')
    await bench.qusb('alias', 'remove', 'red-stick')
  })

  it('gives up waiting when the time is over', () => {
    const told = run(`
      import { attach } from 'qusb'
      await attach('sys-usb:9-9', 'work', { waitMs: 300 }).catch((error) => console.log(JSON.stringify(error.code)))`)
    expect(told).toBe('TIMEOUT')
  })

  it('explains what the rules would do, as the command does', async () => {
    await bench.qusb('rule', 'add', 'class:storage', 'vault')
    await bench.qusb('rule', 'add', 'class:camera', '--action', 'deny')
    const told = run(`
      import { explain } from 'qusb'
      console.log(JSON.stringify(await explain('sys-usb:2-1')))`) as object
    expect(told).toMatchObject({ action: 'allow', frontend: 'vault', rule: { device: 'class:storage' } })
    const { json } = await bench.qusb('explain', 'sys-usb', '2-1', '--json')
    expect(told).toEqual(json)
  })

  it('tells failures as QusbErrors with code and hint', () => {
    const told = run(`
      import { attach, detach, EXIT_CODES, list, QusbError } from 'qusb'
      const failures = []
      for (const call of [
        () => attach('sys-usb:9-9', 'work'),
        () => attach('2-1', 'work'),
        () => attach('sys-usb', '2-1'),
        () => attach('sys-usb:2-1', '9'),
        () => detach({ device: 'sys-usb:9-9' }),
        () => detach({ from: 'nobody' }),
        () => list({ backends: ['no name'] }),
        () => list({ site: '/nowhere.json' }),
      ]) {
        try {
          failures.push(['done', await call()])
        } catch (error) {
          failures.push([error instanceof QusbError, error.code, EXIT_CODES[error.code], typeof error.hint])
        }
      }
      console.log(JSON.stringify(failures))`)
    expect(told).toEqual([
      [true, 'NOT_FOUND', 3, 'string'],
      [true, 'USAGE', 2, 'string'],
      [true, 'USAGE', 2, 'string'],
      [true, 'USAGE', 2, 'string'],
      [true, 'NOT_FOUND', 3, 'string'],
      [true, 'NOT_FOUND', 3, 'string'],
      [true, 'USAGE', 2, 'string'],
      [true, 'USAGE', 2, 'undefined'],
    ])
  })

  it('undoes an attach that its signal interrupts', async () => {
    await bench.lab.fault('slow-attach', 'sys-usb', { value: '3' })
    try {
      const told = run(`
        import { attach } from 'qusb'
        const began = Date.now()
        try {
          await attach('sys-usb:2-1', 'work', { signal: AbortSignal.timeout(1500) })
        } catch (error) {
          console.log(JSON.stringify([error.code, error.cause?.name]))
        }`)
      expect(told).toEqual(['INTERRUPTED', 'TimeoutError'])
    } finally {
      await bench.lab.fault('slow-attach', 'sys-usb', { off: true })
    }
    await expectClean(bench, '2-1', 'work')
  })

  it('watches until its reader has seen enough, and lets the program end', () => {
    const told = run(`
      import { attach, detach, watch } from 'qusb'
      const events = []
      for await (const { event, port } of watch({ backends: ['sys-usb'], everyMs: 200 })) {
        events.push([event, port])
        if (event === 'watching' && events.length === 1) {
          void attach('sys-usb:2-1', 'work').then(() => detach({ from: 'work' }))
        }
        if (event === 'device-detached') break
      }
      console.log(JSON.stringify(events))`) as [string, string | null][]
    const events = told.filter(([event]) => event.startsWith('device'))
    expect(events).toEqual([
      ['device-attached', '2-1'],
      ['device-detached', '2-1'],
    ])
  })
})
