import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type Bench,
  expectClean,
  grants,
  imageOf,
  onSleeper,
  startBench,
  until,
  usedPorts,
} from './program.ts'

let bench: Bench

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'sys-net', backend: true },
      { name: 'work' },
      { name: 'vault' },
    ],
    devices: [
      { backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'ONE' },
      { backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'TWO' },
      { backend: 'sys-usb', port: '1-1', kind: 'thermometer' },
      { backend: 'sys-net', port: '1-1', kind: 'webcam' },
    ],
  })
})
afterAll(async () => await bench.end())
afterEach(async () => {
  for (const qube of ['sys-usb', 'sys-net', 'work', 'vault']) {
    const { qubes } = await bench.lab.status()
    if (qubes.find((each) => each.name === qube)?.state !== 'running') await bench.lab.fault('start', qube)
  }
  for (const { name, qube } of (await bench.lab.status()).faults)
    await bench.lab.fault(name, qube, { off: true })
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
}, 60_000)

const attach = async (...words: string[]): Promise<void> => {
  const ran = await bench.qusb('attach', ...words)
  expect(ran.code, ran.stderr).toBe(0)
}

const lastEvent = async (): Promise<{
  what: string
  how: string | null
  port: string
  user: string | null
}> => (await bench.qusb('history', '--limit', '1', '--json')).json.events[0]

/** Names of the state files that a frontend has. */
const stateFiles = async (frontend: string): Promise<string> =>
  await bench.inQube(frontend, 'ls "$QUSB_ROOT/var/run/qubes" | grep "[.]state$" || true')

const statePath = (): string => join(bench.lab.dir, 'dom0/var/lib/qusb/state.json')

it('a frontend that is a backend itself is looked into for both', async () => {
  await attach('sys-usb', '2-1', 'sys-net')
  expect(await bench.device('2-1')).toMatchObject({ attachedTo: 'sys-net', drift: null })
  expect(await bench.device('1-1', 'sys-net')).toMatchObject({ state: 'free' })
  // The backend's own detach leaves the frontend's state file: the next attach must see it, or fails without a word.
  expect((await bench.lab.call('sys-usb', 'root:QUBESRPC qubes.USBDetach dom0', '2-1\n')).code).toBe(0)
  await until('released', async () => (await bench.device('2-1')).attachedTo === null)
  await attach('sys-usb', '2-1', 'sys-net')
  const file = 'usb-import-sys-usb-9-9.state'
  await bench.inQube('sys-net', `echo 7 >"$QUSB_ROOT/var/run/qubes/${file}"`)
  const { json } = await bench.qusb('doctor', '--json')
  expect(JSON.stringify(json)).toContain('sys-net keeps a state file of sys-usb:9-9')
  await bench.inQube('sys-net', `rm "$QUSB_ROOT/var/run/qubes/${file}"`)
  expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
  await expectClean(bench, '2-1', 'sys-net')
})

describe('what ends an attachment behind our back is told, once, and kept in the history', () => {
  it('an unplug', async () => {
    await attach('sys-usb', '1-1', 'work')
    await bench.lab.unplug('sys-usb', '1-1')
    const { json } = await bench.qusb('list', '--json')
    expect(json.warnings).toContainEqual(
      expect.objectContaining({ code: 'ENDED', message: expect.stringContaining('unplugged') }),
    )
    // A stale state file would make the frontend's next detach free another device's port.
    expect(await stateFiles('work')).toBe('')
    expect((await bench.qusb('list', '--json')).json.warnings).toEqual([])
    expect(await lastEvent()).toMatchObject({ what: 'ended', how: 'unplug', port: '1-1' })
    expect(JSON.parse(readFileSync(statePath(), 'utf8')).attachments).toEqual([])
    await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'thermometer' })
    await attach('sys-usb', '1-1', 'work')
  })

  it('another tool', async () => {
    await attach('sys-usb', '1-1', 'work')
    expect((await bench.lab.call('sys-usb', 'root:QUBESRPC qubes.USBDetach dom0', '1-1\n')).code).toBe(0)
    await until('released', async () => (await bench.device('1-1')).attachedTo === null)
    expect(await lastEvent()).toMatchObject({ what: 'ended', how: 'other-tool' })
    // What the backend's own detach leaves in the frontend does not hinder the next attach.
    await attach('sys-usb', '1-1', 'work')
  })

  it('a restart of the frontend', async () => {
    await attach('sys-usb', '1-1', 'work')
    await bench.lab.fault('restart', 'work')
    await until('told', async () => (await bench.device('1-1')).attachedTo === null)
    expect(await lastEvent()).toMatchObject({ what: 'ended', how: 'restart' })
  })

  it('a restart of the backend', async () => {
    await attach('sys-usb', '1-1', 'work')
    await bench.lab.fault('restart', 'sys-usb')
    expect(await bench.device('1-1')).toMatchObject({ attachedTo: null, state: 'free' })
    expect(await lastEvent()).toMatchObject({ what: 'ended', how: 'restart' })
    expect(await stateFiles('work')).toBe('')
    await attach('sys-usb', '1-1', 'work')
  })

  it('a halt of the backend, in the middle of an attach that died', async () => {
    const running = bench.start(['attach', 'sys-usb', '1-1', 'work'], { faultPoint: 'look-again' })
    await running.said('qusb-fault-point look-again\n')
    running.child.kill('SIGKILL')
    await running.done
    await bench.lab.fault('halt', 'sys-usb')
    const { json } = await bench.qusb('list', '--json')
    expect(json.warnings).toContainEqual(expect.objectContaining({ code: 'SETTLED' }))
    expect(await stateFiles('work')).toBe('')
    expect(JSON.parse(readFileSync(statePath(), 'utf8')).attachments).toEqual([])
    await bench.lab.fault('start', 'sys-usb')
    await attach('sys-usb', '1-1', 'work')
  })

  it('a boot of dom0', async () => {
    await attach('sys-usb', '1-1', 'work')
    const bootId = join(bench.lab.dir, 'dom0/proc/sys/kernel/random/boot_id')
    const before = readFileSync(bootId, 'utf8')
    writeFileSync(bootId, '00000000-0000-4000-8000-000000000001\n')
    try {
      await bench.qusb('list')
      expect(await lastEvent()).toMatchObject({ what: 'ended', how: 'reboot' })
    } finally {
      writeFileSync(bootId, before)
    }
  })

  it('a suspend, by what the two clocks of the machine say', async () => {
    await onSleeper(bench, async (sleptFor) => {
      await attach('sys-usb', '1-1', 'work')
      await bench.lab.fault('link-closed', 'sys-usb')
      sleptFor(7200)
      await until('released', async () => (await bench.device('1-1')).attachedTo === null)
      expect(await lastEvent()).toMatchObject({ what: 'ended', how: 'suspend' })
    })
  })

  it('a link that ends', async () => {
    await attach('sys-usb', '1-1', 'work')
    await bench.lab.fault('link-closed', 'sys-usb')
    await until('released', async () => (await bench.device('1-1')).attachedTo === null)
    expect((await lastEvent()).how).toBe('other-tool')
    expect(await stateFiles('work')).toBe('')
  })
})

/** As another tool attaches: its own policy line, and the call. */
const attachBehindOurBack = async (): Promise<void> => {
  const policy = join(bench.lab.dir, 'dom0/run/qubes/policy.d/30-test.policy')
  writeFileSync(policy, 'qubes.USB +1-1 work sys-usb allow user=root\n')
  expect((await bench.lab.call('work', 'root:QUBESRPC qubes.USBAttach dom0', 'sys-usb 1-1\n')).code).toBe(0)
  rmSync(policy)
}

describe('other tools', () => {
  it('that attached are seen, named, and what they attached is detached', async () => {
    await attachBehindOurBack()
    expect(await bench.device('1-1')).toMatchObject({ attachedTo: 'work', drift: 'other-tool', since: null })
    expect(await bench.qusb('detach', 'sys-usb', '1-1', '--json')).toMatchObject({
      code: 0,
      json: { changed: true },
    })
    await expectClean(bench, '1-1', 'work')
  })

  it('that detached at the frontend leave it without its driver: detach gives it back', async () => {
    await attach('sys-usb', '1-1', 'work')
    expect((await bench.lab.call('work', 'root:QUBESRPC qubes.USBDetach dom0', 'sys-usb 1-1\n')).code).toBe(0)
    await until('released', async () => (await bench.device('1-1')).attachedTo === null)
    expect(await bench.device('1-1')).toMatchObject({ driver: 'usbip-host' })
    expect(await bench.qusb('detach', 'sys-usb', '1-1', '--json')).toMatchObject({
      code: 0,
      json: { changed: false, warnings: [{ code: 'GIVEN_BACK' }] },
    })
    await expectClean(bench, '1-1', 'work')
  })
})

describe('a detach when the frontend', () => {
  it('is hung: at the backend, and its leftovers are removed when it answers again', async () => {
    await attach('sys-usb', '1-1', 'work')
    await bench.lab.fault('agent-frozen', 'work')
    const detached = await bench.qusb('detach', 'sys-usb', '1-1', '--json')
    expect(detached, detached.stderr).toMatchObject({
      code: 0,
      json: { changed: true, warnings: [{ code: 'LEFTOVER' }] },
    })
    expect(await bench.device('1-1')).toMatchObject({ state: 'free', driver: 'usb' })
    await bench.lab.fault('agent-frozen', 'work', { off: true })
    await bench.qusb('list')
    await expectClean(bench, '1-1', 'work')
    expect(JSON.parse(readFileSync(statePath(), 'utf8')).attachments).toEqual([])
  })

  it('was hung, and another tool attaches the device again: what it attached stands', async () => {
    await attach('sys-usb', '1-1', 'work')
    await bench.lab.fault('agent-frozen', 'work')
    expect((await bench.qusb('detach', 'sys-usb', '1-1')).code).toBe(0)
    await bench.lab.fault('agent-frozen', 'work', { off: true })
    await attachBehindOurBack()
    await bench.qusb('list')
    expect(await bench.device('1-1')).toMatchObject({ attachedTo: 'work', drift: 'other-tool' })
    expect(await stateFiles('work')).toBe('usb-import-sys-usb-1-1.state')
  })

  it.each(['halt', 'killed'] as const)(
    'is gone (%s): the device is free and on its driver',
    async (fault) => {
      await attach('sys-usb', '1-1', 'work')
      await bench.lab.fault(fault, 'work')
      const detached = await bench.qusb('detach', 'sys-usb', '1-1', '--json')
      expect(detached.code, detached.stderr).toBe(0)
      expect(await bench.device('1-1')).toMatchObject({ state: 'free', driver: 'usb' })
      await bench.lab.fault('start', 'work')
      await attach('sys-usb', '1-1', 'work')
    },
  )
})

it('a stale state file whose port carries another device by now: that device is never touched', async () => {
  const image = await imageOf(bench, '2-2')
  const file = openSync(image, 'r+')
  writeSync(file, 'this is the second stick', 0)
  closeSync(file)
  await attach('sys-usb', '2-1', 'work')
  const stale = await bench.inQube('work', 'cat "$QUSB_ROOT"/var/run/qubes/usb-import-sys-usb-2-1.state')
  await bench.lab.unplug('sys-usb', '2-1')
  await until('the port is free', async () => (await usedPorts(bench, 'work')) === 0)
  await attach('sys-usb', '2-2', 'work')
  expect(await bench.inQube('work', 'cat "$QUSB_ROOT"/var/run/qubes/usb-import-sys-usb-2-2.state')).toBe(
    stale,
  )
  // qusb has removed the file of the first; the tools that do not are the danger.
  await bench.inQube('work', `echo ${stale} >"$QUSB_ROOT/var/run/qubes/usb-import-sys-usb-2-1.state"`)
  const readsTwo = async (): Promise<boolean> =>
    (await bench.lab.exec('work', ['lab-read', 'sda', '0', '1'])).stdout.includes('this is the second stick')
  expect(await readsTwo()).toBe(true)

  await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'ONE' })
  expect(await bench.qusb('detach', 'sys-usb', '2-1', '--json')).toMatchObject({
    code: 0,
    json: { changed: false },
  })
  expect(await readsTwo()).toBe(true)
  await attach('sys-usb', '2-1', 'work')
  expect(await bench.device('2-2')).toMatchObject({ attachedTo: 'work', drift: null })
  expect(await readsTwo()).toBe(true)
  expect(await usedPorts(bench, 'work')).toBe(2)
})

it('two backends whose devices have the same bus and device number: each is told from the other', async () => {
  const ours = await bench.device('1-1', 'sys-usb')
  await bench.lab.unplug('sys-net', '1-1')
  // The same numbers, whatever was plugged before: the webcam's are counted on until they meet.
  await until('the same device number', async () => {
    await bench.lab.plug({ backend: 'sys-net', port: '1-1', kind: 'webcam' })
    const theirs = await bench.device('1-1', 'sys-net')
    if (theirs.devnum >= ours.devnum) return true
    await bench.lab.unplug('sys-net', '1-1')
    return false
  })
  const theirs = await bench.device('1-1', 'sys-net')
  while ((await bench.device('1-1', 'sys-usb')).devnum < theirs.devnum) {
    await bench.lab.unplug('sys-usb', '1-1')
    await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'thermometer' })
  }
  expect(await bench.device('1-1', 'sys-usb')).toMatchObject({ busnum: theirs.busnum, devnum: theirs.devnum })
  await attach('sys-net', '1-1', 'work')
  await attach('sys-usb', '1-1', 'work')
  expect(await bench.qusb('detach', 'sys-usb', '1-1')).toMatchObject({ code: 0 })
  await expectClean(bench, '1-1', 'work')
  expect(await bench.device('1-1', 'sys-net')).toMatchObject({ attachedTo: 'work', drift: null })
  expect(await bench.qusb('detach', 'sys-net', '1-1')).toMatchObject({ code: 0 })
  await expectClean(bench, '1-1', 'work', 'sys-net')
})

describe('the reaper', () => {
  it('removes the grant at once when qusb is killed, with no other command', async () => {
    const running = bench.start(['attach', 'sys-usb', '1-1', 'work'], { faultPoint: 'call-attach' })
    await running.said('qusb-fault-point')
    expect(grants(bench)).toHaveLength(1)
    running.child.kill('SIGKILL')
    await running.done
    await until('no grant', () => grants(bench).length === 0, 5000)
  })

  it('removes it after the time limit when qusb hangs', async () => {
    const running = bench.start(['attach', 'sys-usb', '1-1', 'work', '--timeout', '1'], {
      faultPoint: 'call-attach',
    })
    await running.said('qusb-fault-point')
    running.child.kill('SIGSTOP')
    expect(grants(bench)).toHaveLength(1)
    await until('no grant', () => grants(bench).length === 0, 10_000)
    running.child.kill('SIGKILL')
    await running.done
  })
})

describe('a replug between the survey and the call', () => {
  it('to another device is caught, undone, and said to have been exposed', async () => {
    const running = bench.start(['attach', 'sys-usb', '1-1', 'work', '--json'], { faultPoint: 'call-attach' })
    await running.said('qusb-fault-point')
    await bench.lab.unplug('sys-usb', '1-1')
    await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'keyboard' })
    running.child.kill('SIGUSR2')
    const ran = await running.done
    expect(ran.json, ran.stderr).toMatchObject({
      error: { code: 'CONFLICT', message: expect.stringContaining('exposed') },
    })
    expect(ran.code).toBe(5)
    await expectClean(bench, '1-1', 'work')
    await bench.lab.unplug('sys-usb', '1-1')
    await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'thermometer' })
  })

  it('to nothing is NOT_FOUND', async () => {
    const running = bench.start(['attach', 'sys-usb', '1-1', 'work', '--json'], { faultPoint: 'call-attach' })
    await running.said('qusb-fault-point')
    await bench.lab.unplug('sys-usb', '1-1')
    running.child.kill('SIGUSR2')
    const ran = await running.done
    expect(ran, ran.stderr).toMatchObject({
      code: 3,
      json: { error: { code: 'NOT_FOUND', message: expect.stringContaining('unplugged') } },
    })
    expect(grants(bench)).toEqual([])
    await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'thermometer' })
  })
})

describe('two at once on one device', () => {
  it('one wins, and the other gets CONFLICT', async () => {
    const both = await Promise.all([
      bench.qusb('attach', 'sys-usb', '1-1', 'work', '--json'),
      bench.qusb('attach', 'sys-usb', '1-1', 'vault', '--json'),
    ])
    expect(both.map((ran) => ran.code).sort()).toEqual([0, 5])
    const winner = both.find((ran) => ran.code === 0)?.json.attachment.frontend
    expect(await bench.device('1-1')).toMatchObject({ attachedTo: winner, drift: null })
  })
})

describe('a store that cannot be used', () => {
  it('refuses an attach with nothing done, and a list still tells the truth', async () => {
    const directory = join(bench.lab.dir, 'dom0/var/lib/qusb')
    renameSync(directory, `${directory}.away`)
    writeFileSync(directory, 'not a directory')
    try {
      expect(await bench.qusb('attach', 'sys-usb', '1-1', 'work', '--json')).toMatchObject({
        code: 11,
        json: { error: { code: 'STORE' } },
      })
      expect(grants(bench)).toEqual([])
      expect(await usedPorts(bench, 'work')).toBe(0)
      const listed = await bench.qusb('list', '--json')
      expect(listed.code).toBe(0)
      expect(listed.json.devices).toHaveLength(4)
      expect(listed.json.warnings).toContainEqual(expect.objectContaining({ code: 'STORE' }))
    } finally {
      rmSync(directory)
      renameSync(`${directory}.away`, directory)
    }
  })

  it('that was damaged is set aside, and what is attached is still told', async () => {
    await attach('sys-usb', '1-1', 'work')
    writeFileSync(statePath(), '{"schema": 1, "attachm')
    expect(await bench.device('1-1')).toMatchObject({ attachedTo: 'work', drift: 'other-tool' })
    expect(await bench.qusb('detach', 'sys-usb', '1-1')).toMatchObject({ code: 0 })
    await expectClean(bench, '1-1', 'work')
  })

  it('of a later qusb is left alone', async () => {
    const before = existsSync(statePath()) ? readFileSync(statePath()) : undefined
    writeFileSync(statePath(), '{"schema": 99, "attachments": []}')
    try {
      expect(await bench.qusb('attach', 'sys-usb', '1-1', 'work', '--json')).toMatchObject({ code: 11 })
      expect(readFileSync(statePath(), 'utf8')).toContain('99')
    } finally {
      if (before === undefined) rmSync(statePath())
      else writeFileSync(statePath(), before)
    }
  })
})

describe('a hostile frontend', () => {
  const replace = async (service: string, script: string): Promise<() => void> => {
    const file = join(bench.lab.dir, 'qubes/work/etc/qubes-rpc', service)
    renameSync(file, `${file}.away`)
    writeFileSync(file, script, { mode: 0o755 })
    return () => {
      rmSync(file)
      renameSync(`${file}.away`, file)
    }
  }

  it('that says it attached and did not is not believed', async () => {
    const restore = await replace('qubes.USBAttach', '#!/bin/sh\nread -r line\nexit 0\n')
    try {
      const ran = await bench.qusb('attach', 'sys-usb', '1-1', 'work', '--json')
      expect(ran, ran.stderr).toMatchObject({ code: 10, json: { error: { code: 'ATTACH_FAILED' } } })
    } finally {
      restore()
    }
    await expectClean(bench, '1-1', 'work')
  })

  it('gets no control character out through its error output', async () => {
    const restore = await replace(
      'qubes.USBAttach',
      "#!/bin/sh\nprintf '\\033[2J\\033]0;owned\\007\\342\\200\\256evil\\n\\377' >&2\nexit 1\n",
    )
    try {
      const ran = await bench.qusb('attach', 'sys-usb', '1-1', 'work')
      expect(ran.code).toBe(10)
      expect(ran.stderr).toContain('evil')
      expect(ran.stderr + ran.stdout).not.toMatch(
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\ufffd]/,
      )
    } finally {
      restore()
    }
  })
})

describe('a hostile backend', () => {
  it.each([
    ['never stops', 'cat /dev/zero'],
    ['says nonsense', 'echo hello; printf "\\033[31m"'],
    ['says nothing', 'true'],
    ['dribbles', 'while :; do echo x; sleep 1; done'],
  ])('that %s is a warning beside the others, in time', async (_what, command) => {
    await bench.lab.fault('hostile-answer', 'sys-net', { value: command })
    const began = Date.now()
    const { code, json, stdout, stderr } = await bench.qusb('list', '--json')
    expect(Date.now() - began).toBeLessThan(40_000)
    expect(code).toBe(0)
    expect(json.devices.map((device: { backend: string }) => device.backend)).toEqual([
      'sys-usb',
      'sys-usb',
      'sys-usb',
    ])
    expect(json.warnings).toContainEqual(expect.objectContaining({ qube: 'sys-net' }))
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  })
})
