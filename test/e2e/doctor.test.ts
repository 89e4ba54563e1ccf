import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, grants, type Ran, startBench, until } from './program.ts'

let bench: Bench
const scratch = mkdtempSync(join(tmpdir(), 'qusb-doctor-'))

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'work' },
      { name: 'vault' },
      { name: 'asleep', state: 'paused' },
      { name: 'off', state: 'halted' },
    ],
    devices: [
      { backend: 'sys-usb', port: '2-1', kind: 'stick' },
      { backend: 'sys-usb', port: '1-1', kind: 'thermometer' },
    ],
  })
})
afterAll(async () => {
  await bench.end()
  rmSync(scratch, { recursive: true })
})

/** Undone after each test, the last first. */
const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
  for (const { name, qube } of (await bench.lab.status()).faults)
    await bench.lab.fault(name, qube, { off: true })
})

const dom0 = (path: string): string => join(bench.lab.dir, 'dom0', path)

function put(path: string, content: string): void {
  writeFileSync(dom0(path), content)
  undo.push(() => rmSync(dom0(path), { force: true }))
}

async function breakBy(
  ...[name, qube, value]: [name: string, qube: string | null, value?: string]
): Promise<void> {
  await bench.lab.fault(name as never, qube, value === undefined ? {} : { value })
}

/** This lab's site with other values. */
function siteWith(values: Record<string, unknown>): NodeJS.ProcessEnv {
  const site = join(scratch, 'site.json')
  writeFileSync(site, JSON.stringify({ ...JSON.parse(readFileSync(bench.lab.site, 'utf8')), ...values }), {
    mode: 0o600,
  })
  return { QUSB_SITE: site }
}

interface Told extends Ran {
  check(id: string): { state: string; findings: Record<string, string | boolean | null>[] }
  /** Ids of the checks that are not content. */
  unwell: string[]
}

async function doctor(args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Told> {
  const ran = await bench.start(['doctor', '--json', ...args], { env }).done
  expect(ran.json, ran.stderr).toMatchObject({ schema: 1, checks: expect.any(Array) })
  return {
    ...ran,
    check: (id) => ran.json.checks.find((check: { id: string }) => check.id === id),
    unwell: ran.json.checks
      .filter(({ state }: { state: string }) => state !== 'ok')
      .map(({ id }: { id: string }) => id),
  }
}

/** Only this check finds something, and it is this. */
function expectOnly(told: Told, id: string, state: string, message: RegExp, code: number): void {
  expect(told.unwell, told.stdout).toEqual([id])
  expect(told.check(id).state).toBe(state)
  expect(told.check(id).findings[0]?.message).toMatch(message)
  expect(told.code).toBe(code)
}

describe('where all is well', () => {
  it('each check is content, nothing is changed, nothing started', async () => {
    const told = await doctor()
    expect(told).toMatchObject({ code: 0, json: { state: 'ok' }, stderr: '' })
    expect(told.unwell, told.stdout).toEqual([])
    expect(told.json.checks.length).toBeGreaterThan(20)
    expect(told.check('answers').findings[0]?.message).toBe('sys-usb, vault, work')
    const { qubes } = await bench.lab.status()
    expect(qubes).toContainEqual(expect.objectContaining({ name: 'off', state: 'halted' }))
    expect(qubes).toContainEqual(expect.objectContaining({ name: 'asleep', state: 'paused' }))
  })

  it('and so it says to a person', async () => {
    const ran = await bench.qusb('doctor')
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    expect(ran.stdout).toMatch(/^CHECK +STATE +FOUND\n/)
    expect(ran.stdout).toMatch(/\nUSB proxy +ok +on both sides\n/)
  })
})

describe('dom0', () => {
  it('qrexec-client is not there', async () => {
    const told = await doctor([], siteWith({ qrexecClient: join(scratch, 'nothing') }))
    expect(told.check('qrexec-client')).toMatchObject({ state: 'error', findings: [{ code: 'NOT_FOUND' }] })
    expect(told.code).toBe(3)
    expect(told.json.error).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('qrexec-client is something else, or can be exchanged by anybody', async () => {
    const client = join(scratch, 'client')
    writeFileSync(client, '#!/bin/sh\nprintf "hello \\033[31m"\n', { mode: 0o755 })
    const other = await doctor([], siteWith({ qrexecClient: client }))
    expect(other.check('qrexec-client').findings[0]?.message).toMatch(
      /is not qrexec-client: .*"hello _\[31m"/,
    )
    const real = JSON.parse(readFileSync(bench.lab.site, 'utf8')).qrexecClient
    writeFileSync(client, `#!/bin/sh\nexec ${real} "$@"\n`)
    chmodSync(client, 0o777)
    const unsafe = await doctor([], siteWith({ qrexecClient: client }))
    expectOnly(unsafe, 'qrexec-client', 'error', /can be written by others/, 6)
  })

  it('qubesd does not answer', async () => {
    await breakBy('qubesd-silent', null)
    // Without its word a paused qube is asked, so the others are named.
    const told = await doctor(['sys-usb', 'work'])
    expectOnly(told, 'qubesd', 'warning', /did not answer/, 0)
  })

  it('the clock is behind what was written', async () => {
    const event = {
      ...{ at: '2099-01-01T00:00:00.000Z', what: 'attached', backend: 'sys-usb', port: '2-1' },
      ...{ frontend: 'work', vendorId: '0951', productId: '1666', serial: null },
      ...{ description: 'a stick', user: 'root', rule: null, how: null },
    }
    put('var/lib/qusb/history.jsonl', `${JSON.stringify(event)}\n`)
    expectOnly(await doctor(), 'clock', 'warning', /2099/, 0)
  })

  it('a directory can be written by everybody, or is missing', async () => {
    chmodSync(dom0('run/qusb'), 0o777)
    undo.push(() => chmodSync(dom0('run/qusb'), 0o700))
    expectOnly(await doctor(), 'directories', 'error', /written by everybody/, 11)
    chmodSync(dom0('run/qusb'), 0o700)
    renameSync(dom0('etc/qusb'), dom0('etc/away'))
    undo.push(() => renameSync(dom0('etc/away'), dom0('etc/qusb')))
    expectOnly(await doctor(), 'directories', 'warning', /etc\/qusb is missing/, 0)
  })

  it('the configuration is not valid: the rest is looked at all the same', async () => {
    put('etc/qusb/config.json', '{"backend": []}')
    expectOnly(await doctor(), 'config', 'error', /config\.json is not valid/, 2)
  })

  it('rules are broken', async () => {
    mkdirSync(dom0('etc/qusb/rules.d'), { mode: 0o700, recursive: true })
    put('etc/qusb/rules.d/50-mine.rules', 'no such thing\n')
    expectOnly(await doctor(), 'rules', 'error', /50-mine\.rules:1/, 2)
  })

  it('an alias has the name of a qube', async () => {
    const alias = {
      name: 'work',
      devices: [{ vendorId: '0951', productId: '1666', serial: 'ONE', pin: null, description: 'a stick' }],
    }
    put('etc/qusb/aliases.json', JSON.stringify({ schema: 1, aliases: [alias] }))
    expectOnly(await doctor(), 'aliases', 'warning', /"work" is an alias/, 0)
  })
})

describe('the store', () => {
  const state = 'var/lib/qusb/state.json'

  it('a damaged state file is an error, and --fix sets it aside', async () => {
    put(state, '{"schema": 1, "attach')
    expectOnly(await doctor(), 'store', 'error', /is damaged/, 11)
    expect(readFileSync(dom0(state), 'utf8')).toBe('{"schema": 1, "attach')
    const told = await doctor(['--fix'])
    expect(told).toMatchObject({ code: 0, json: { state: 'mended' } })
    expect(told.check('store').findings[0]).toMatchObject({ state: 'mended', mended: /damaged/ })
    const left = await doctor()
    expectOnly(left, 'store', 'warning', /1 damaged copy/, 0)
    for (const name of readdirSync(dom0('var/lib/qusb')))
      if (name.includes('damaged')) rmSync(join(dom0('var/lib/qusb'), name))
  })

  it('one of a later qusb is left alone', async () => {
    put(state, '{"schema": 99, "attachments": []}')
    const told = await doctor(['--fix'])
    expect(told.check('store')).toMatchObject({ state: 'error', findings: [{ code: 'STORE' }] })
    expect(told.code).toBe(11)
    expect(readFileSync(dom0(state), 'utf8')).toContain('99')
  })

  it('lines of the history that cannot be read', async () => {
    await bench.qusb('attach', 'sys-usb', '1-1', 'work')
    await bench.qusb('detach', 'sys-usb', '1-1')
    const history = dom0('var/lib/qusb/history.jsonl')
    appendFileSync(history, 'torn\n')
    undo.push(() => rmSync(history))
    expectOnly(await doctor(), 'history', 'warning', /^1 of its last 3 lines/, 0)
  })
})

describe('policy', () => {
  it('the directory does not count, or is not there', async () => {
    const elsewhere = await doctor([], siteWith({ policyDir: scratch }))
    expectOnly(elsewhere, 'policy-directory', 'error', /does not count/, 6)
    const nothing = join(scratch, 'nothing.d')
    const missing = await doctor([], siteWith({ policyDir: nothing, policyReadDirs: [nothing] }))
    expectOnly(missing, 'policy-directory', 'error', /there is no/, 6)
  })

  it('a file with a capital letter, and one with a fault', async () => {
    put('etc/qubes/policy.d/30-User.policy', '# nothing\n')
    expectOnly(await doctor(), 'policy-files', 'error', /30-User\.policy: its name/, 6)
    rmSync(dom0('etc/qubes/policy.d/30-User.policy'))
    put('etc/qubes/policy.d/30-user.policy', '# one\nqubes.USB * work sys-usb alow\n')
    expectOnly(await doctor(), 'policy-files', 'error', /30-user\.policy:2: its action/, 6)
    // As the lab's own policy says too.
    expect((await bench.qusb('attach', 'sys-usb', '1-1', 'work')).code).toBe(6)
  })

  it('a deny rule of the user', async () => {
    put('etc/qubes/policy.d/30-user.policy', 'qubes.USB * vault @anyvm deny\n')
    expectOnly(
      await doctor(),
      'deny-rules',
      'warning',
      /30-user\.policy:1 denies vault the device sys-usb:1-1 and sys-usb:2-1/,
      0,
    )
    expect((await doctor(['sys-usb', 'work'])).unwell).toEqual([])
  })

  it('a grant of ours that was left over, which --fix removes', async () => {
    const name = '34-qusb-0123456789abcdef.policy'
    put(`run/qubes/policy.d/${name}`, 'qubes.USB +2-1 work sys-usb allow user=root autostart=no\n')
    expectOnly(await doctor(), 'grants', 'warning', /still allows/, 0)
    expect(grants(bench)).toEqual([name])
    expectOnly(await doctor(['--fix']), 'grants', 'mended', /still allows/, 0)
    expect(grants(bench)).toEqual([])
  })

  it('one of an attach under way is not left over', async () => {
    const attaching = bench.start(['attach', 'sys-usb', '1-1', 'work'], { faultPoint: 'call-attach' })
    await attaching.said('qusb-fault-point')
    expect(grants(bench)).toHaveLength(1)
    const told = await doctor(['--fix'])
    expect(told.check('grants').state).toBe('ok')
    expect(told.check('operations').state).toBe('ok')
    expect(grants(bench)).toHaveLength(1)
    attaching.child.kill('SIGUSR2')
    expect(await attaching.done).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '1-1')).toMatchObject({ code: 0 })
  })

  it('one of qubesd that was left over, which is not ours to remove', async () => {
    const file = 'etc/qubes-rpc/policy/qubes.USB+2-1'
    put(file, 'work sys-usb allow,user=root\n')
    // qubesd's own attach may be under way.
    expect((await doctor()).unwell).toEqual([])
    const before = new Date(Date.now() - 3600_000)
    utimesSync(dom0(file), before, before)
    expectOnly(await doctor(['--fix']), 'grants', 'warning', /left over by qubesd/, 0)
    expect(readFileSync(dom0(file), 'utf8')).toContain('work')
  })
})

describe('qubes', () => {
  it('no USB qube runs', async () => {
    await breakBy('halt', 'sys-usb')
    undo.push(() => breakBy('start', 'sys-usb'))
    const told = await doctor()
    expect(told.check('backends')).toMatchObject({ state: 'error', findings: [{ code: 'NOT_FOUND' }] })
    expect(told.code).toBe(3)
  })

  it('one does not answer: worth a word, and an error where it is named', async () => {
    await breakBy('agent-frozen', 'work')
    expectOnly(await doctor(), 'answers', 'warning', /work/, 0)
    const named = await doctor(['work'])
    expectOnly(named, 'answers', 'error', /work/, 7)
    expect(named.check('answers').findings[0]).toMatchObject({ qube: 'work', code: 'NOT_RUNNING' })
  })

  it.each([
    ['off', 'NOT_RUNNING', 7],
    ['asleep', 'NOT_RUNNING', 7],
    ['nobody', 'NOT_FOUND', 3],
  ])('%s is named', async (name, code, exitCode) => {
    const told = await doctor([name])
    expect(told.check('answers').findings).toMatchObject([{ qube: name, code }])
    expect(told.code).toBe(exitCode)
  })

  it('the USB proxy is missing in the backend', async () => {
    await breakBy('service-missing', 'sys-usb')
    expectOnly(await doctor(), 'usb-proxy', 'error', /sys-usb \(backend\) lacks qubes\.USB/, 8)
  })

  it('the USB proxy is missing in a frontend: worth a word, and an error where it is named', async () => {
    await breakBy('service-missing', 'vault')
    expectOnly(await doctor(), 'usb-proxy', 'warning', /vault \(frontend\) lacks qubes\.USBAttach/, 0)
    expectOnly(await doctor(['vault']), 'usb-proxy', 'error', /vault/, 8)
    expect((await doctor(['work'])).unwell).toEqual([])
  })

  it('all ports of a frontend are taken', async () => {
    await breakBy('no-free-port', 'work')
    expect((await doctor()).check('vhci-ports').findings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^work has no free port for a USB 2 device/),
      expect.stringMatching(/^work has no free port for a USB 3 device/),
    ])
    expectOnly(await doctor(['work']), 'vhci-ports', 'error', /work has no free port/, 10)
  })
})

describe('auto-attach', () => {
  it('rules, and no watcher that applies them', async () => {
    mkdirSync(dom0('etc/qusb/rules.d'), { mode: 0o700, recursive: true })
    put('etc/qusb/rules.d/50-mine.rules', 'class:storage  *  work  deny\n0951:1666  *  vault  allow\n')
    expectOnly(await doctor(), 'watcher', 'warning', /^1 rule attaches devices, and no watcher runs/, 0)
    put('etc/qusb/rules.d/50-mine.rules', 'class:camera  *  work  allow\n')
    const watching = bench.start(['watch', '--auto', '--json'])
    undo.push(async () => {
      watching.child.kill('SIGTERM')
      await watching.done
    })
    await until('the watcher is seen', async () => (await doctor()).check('watcher').state === 'ok')
    expect((await doctor()).unwell).toEqual([])
  })

  it('pieces of a USB qube that is set up are missing or changed, there and in dom0', async () => {
    const setUp = await bench.qusb('setup', 'backend', 'sys-usb', '--group', 'root')
    expect(setUp.code, setUp.stderr).toBe(0)
    undo.push(async () =>
      expect(await bench.qusb('setup', 'remove', '--group', 'root')).toMatchObject({ code: 0 }),
    )
    const told = await doctor()
    expect(told.unwell, told.stdout).toEqual([])
    expect(told.check('hints').findings[0]?.message).toBe('sys-usb')

    const { files } = JSON.parse(readFileSync(dom0('var/lib/qusb-setup/installed.json'), 'utf8')).backends[0]
    const rule = files.find(({ path }: { path: string }) => path.endsWith('.rules')).path
    await bench.inQube('sys-usb', `echo '# mine' >>"$QUSB_ROOT${rule}"`)
    expectOnly(await doctor(), 'hints', 'warning', /^sys-usb: .*\.rules is not what was installed/, 0)
    await bench.inQube('sys-usb', `rm "$QUSB_ROOT${rule}"`)
    expectOnly(await doctor(), 'hints', 'warning', /^sys-usb: .*\.rules is missing/, 0)
    expect((await doctor(['work'])).check('hints').state).toBe('ok')
    rmSync(dom0('etc/qubes/policy.d/30-qusb.policy'))
    const named = await doctor(['work'])
    expectOnly(named, 'hints', 'warning', /30-qusb\.policy is missing/, 0)
    expect(named.check('hints').findings[0]?.fix).toBe('sudo qusb setup dom0')
  })
})

describe('what was left over', () => {
  const attach = async (): Promise<void> => {
    const ran = await bench.qusb('attach', 'sys-usb', '1-1', 'work')
    expect(ran.code, ran.stderr).toBe(0)
  }
  const released = (): Promise<void> =>
    until(
      'released',
      async () =>
        (await bench.lab.exec('sys-usb', ['qubesdb-multiread', '/qubes-usb-devices/'])).stdout.includes(
          'connected-to',
        ) === false,
    )

  it('by a qusb that was killed: --fix brings it to an end', async () => {
    const attaching = bench.start(['attach', 'sys-usb', '1-1', 'work'], { faultPoint: 'call-attach' })
    await attaching.said('qusb-fault-point')
    attaching.child.kill('SIGKILL')
    await attaching.done
    await until('no grant', () => grants(bench).length === 0)
    expectOnly(await doctor(), 'operations', 'warning', /left open \(attaching\)/, 0)
    const told = await doctor(['--fix'])
    expectOnly(told, 'operations', 'mended', /left open/, 0)
    expect((await doctor()).unwell).toEqual([])
    await expectClean(bench, '1-1', 'work')
  })

  it('a state file in the frontend', async () => {
    await attach()
    expect((await bench.lab.call('sys-usb', 'root:QUBESRPC qubes.USBDetach dom0', '1-1\n')).code).toBe(0)
    await released()
    expectOnly(await doctor(), 'state-files', 'warning', /work keeps a state file of sys-usb:1-1/, 0)
    expectOnly(await doctor(['--fix']), 'state-files', 'mended', /work keeps/, 0)
    expect((await doctor()).unwell).toEqual([])
    await expectClean(bench, '1-1', 'work')
  })

  it('a device on usbip-host', async () => {
    await attach()
    expect((await bench.lab.call('work', 'root:QUBESRPC qubes.USBDetach dom0', 'sys-usb 1-1\n')).code).toBe(0)
    await released()
    // The store's record of it has ended as soon as anything looks.
    expect((await bench.device('1-1')).driver).toBe('usbip-host')
    expectOnly(await doctor(), 'stuck-devices', 'warning', /sys-usb:1-1 is free/, 0)
    expectOnly(await doctor(['--fix']), 'stuck-devices', 'mended', /sys-usb:1-1/, 0)
    expect((await doctor()).unwell).toEqual([])
    await expectClean(bench, '1-1', 'work')
  })

  it('and so it says to a person, with what to do', async () => {
    put('run/qubes/policy.d/34-qusb-0123456789abcdef.policy', 'qubes.USB +2-1 work sys-usb allow\n')
    const ran = await bench.qusb('doctor')
    expect(ran.stdout).toMatch(/\ngrants left over +warning +/)
    expect(ran.stdout).toContain('  qusb doctor --fix removes it.\n')
    const mended = await bench.qusb('doctor', '--fix')
    expect(mended.stdout).toMatch(/\ngrants left over +mended +/)
    expect(mended.stdout).toContain('is removed\n')
  })
})

it('an error ends with its code and says what is wrong on stderr', async () => {
  await breakBy('service-missing', 'sys-usb')
  const ran = await bench.qusb('doctor')
  expect(ran.code).toBe(8)
  expect(ran.stdout).toMatch(/\nUSB proxy +error +/)
  expect(ran.stderr).toMatch(/^qusb: error: sys-usb \(backend\) lacks .* \[NO_PROXY\]\n/)
})

it('what a qube says is clean', async () => {
  await bench.lab.plug({ backend: 'sys-usb', port: '1-2', kind: 'thermometer', product: 'a\u001b[2J\u202eb' })
  undo.push(() => bench.lab.unplug('sys-usb', '1-2'))
  await breakBy('hostile-answer', 'vault', 'printf "\\033[31mboo\\n"; exit 3')
  for (const args of [['doctor'], ['doctor', '--json'], ['doctor', 'vault']]) {
    const { stdout, stderr } = await bench.qusb(...args)
    expect(stdout + stderr).toContain('vault')
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  }
})
