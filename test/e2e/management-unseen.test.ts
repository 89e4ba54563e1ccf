import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { FILE, type Management, startManagement } from './management-lab.ts'
import { until } from './program.ts'

describe.each(['4.3', '4.2'] as const)(
  'from a management qube that may run nothing in sys-usb, qubesd %s',
  (qubesd) => {
    let management: Management
    /** Qubes 4.2 does not say what a device is, so that any may be the keyboard that dom0 types on. */
    const sure = qubesd === '4.2' ? ['--force'] : []
    const identity = qubesd === '4.2' ? '0000' : expect.stringMatching(/^(08f7|0951)$/)

    const run: Management['run'] = async (...args) => await management.run(...args)
    const device = async (port = '2-1') =>
      (await run('list', '--json')).json.devices.find((each: { port: string }) => each.port === port)
    const holder = async () => (await management.bench.device('2-1')).attachedTo

    beforeAll(async () => {
      management = await startManagement({ ...FILE, qubesd })
      management.allowAllBut('qubes.VMShell')
    })
    afterEach(async () => {
      management.allowAllBut('qubes.VMShell')
      await management.bench.qusb('detach', '--all')
    })
    afterAll(async () => await management?.bench.end())

    it('lists by the word of qubesd, and what that does not know is not known', async () => {
      for (const args of [[], ['sys-usb']]) {
        const { code, json } = await run('list', ...args, '--json')
        expect(code).toBe(0)
        expect(json.error).toBe(undefined)
        expect(json.warnings).toEqual([
          {
            qube: 'sys-usb',
            code: 'BY_QUBESD',
            message: expect.stringContaining('the word of qubesd'),
            hint: expect.stringContaining(': qubes.VMShell * mgmt sys-usb allow autostart=no'),
          },
        ])
        const unknown = {
          toldBy: 'qubesd',
          state: 'unknown',
          attachedTo: null,
          vendorId: identity,
          productId: expect.any(String),
          devnum: null,
          speed: null,
          driver: null,
          controller: null,
          inputForDom0: null,
          usage: null,
        }
        expect(json.devices).toMatchObject([
          { ...unknown, port: '1-2', busnum: 1 },
          { ...unknown, port: '2-1', busnum: 2 },
        ])
      }
      const { stdout } = await run('list')
      expect(stdout.split('\n')[1]).toMatch(
        qubesd === '4.2'
          ? /^sys-usb\t2-1\t\?\t-\t-\tKingston DataTraveler 3.0\t-\t\?$/
          : /^sys-usb\t2-1\t0951:1666\t\S+\tstorage\t.*\t-\t\?$/,
      )
      expect((await run('info', 'sys-usb', '2-1')).stdout).toMatch(/told by +qubesd.*\n/)
    })

    it.each([[], ['--via', 'admin']])(
      'attaches and detaches, and asks qubesd what came of it %#',
      async (...via) => {
        const attached = await run('attach', 'sys-usb', '2-1', 'work', '--json', ...sure, ...via)
        expect(attached).toMatchObject({ code: 0, json: { changed: true, attachment: { frontend: 'work' } } })
        expect(attached.json.warnings).toMatchObject([{ code: 'BY_QUBESD' }, { code: 'USAGE' }])
        expect(await holder()).toBe('work')
        expect((await run('attach', 'sys-usb', '2-1', 'work', '--json')).json.changed).toBe(false)
        expect(await device()).toMatchObject({ attachedTo: 'work', state: 'attached', drift: null, by: {} })
        expect(await run('detach', 'sys-usb', '2-1', '--json', ...via)).toMatchObject({
          code: 0,
          json: { changed: true, attachment: { frontend: 'work' } },
        })
        expect(await management.bench.device('2-1')).toMatchObject({ state: 'free', driver: 'usb' })
        const again = await run('detach', 'sys-usb', '2-1', '--json')
        expect(again).toMatchObject({ code: 0, json: { changed: false, attachment: { unsure: true } } })
        expect((await run('detach', 'sys-usb', '2-1')).stdout).toContain(
          'no qube that this one may ask about',
        )
      },
    )

    it('does not believe that it is attached when the call has failed', async () => {
      await management.bench.lab.fault('no-free-port', 'work')
      // qubesd believes in the attach for a while (docs/facts.md#events), and so does who asks it.
      const { code, json } = await run('attach', 'sys-usb', '2-1', 'work', '--json', ...sure)
      await management.bench.lab.fault('no-free-port', 'work', { off: true })
      expect(code).toBe(10)
      expect(json.error.message).not.toContain('NOT be undone')
      expect(await holder()).toBe(null)
      expect((await run('history', '--json')).json.events.at(-1)).toMatchObject({ what: 'failed' })
    })

    it('gives away nothing that dom0 may be typing on', async () => {
      const { code, json } = await run('attach', 'sys-usb', '1-2', 'work', '--json')
      expect(code).toBe(6)
      expect(json.error).toMatchObject({
        message: expect.stringContaining('typing'),
        hint: expect.stringContaining('--force'),
      })
    })

    it('does not begin what nobody could tell the end of', async () => {
      management.allowAllBut('qubes.VMShell', 'admin.vm.device.usb.Attached', 'admin.vm.device.usb.List')
      const { code, json } = await run('attach', 'sys-usb', '2-1', 'work', '--json', ...sure)
      expect(code).toBe(6)
      expect(json.error.hint).toContain(': admin.vm.device.usb.Attached * mgmt work allow target=dom0')
      expect(await holder()).toBe(null)
    })

    it('neither takes nor shows as free what a qube has that policy hides', async () => {
      expect((await management.bench.qusb('attach', 'sys-usb', '2-1', 'secret')).code).toBe(0)
      // Qubes 4.3 names the holder with the device.
      const told =
        qubesd === '4.2'
          ? { state: 'unknown', attachedTo: null }
          : { state: 'attached', attachedTo: 'secret' }
      expect(await device()).toMatchObject(told)
      expect((await run('attach', 'sys-usb', '2-1', 'work', '--json', ...sure)).json.error).toMatchObject({
        code: 'CONFLICT',
      })
      await run('detach', 'sys-usb', '2-1')
      expect(await holder()).toBe('secret')
    })

    it('takes it for over when qubesd says so, and not when policy keeps it from asking', async () => {
      expect((await run('attach', 'sys-usb', '2-1', 'work', ...sure)).code).toBe(0)
      management.allowAllBut('qubes.VMShell', 'admin.vm.device.usb.Attached', 'admin.vm.device.usb.List')
      if (qubesd === '4.2') {
        const { devices, warnings } = (await run('list', '--json')).json
        expect(devices[1]).toMatchObject({ attachedTo: null, state: 'unknown' })
        expect(warnings.map((each: { code: string }) => each.code)).not.toContain('ENDED')
      }
      management.allowAllBut()
      // By the backend's own word it is the same device, though that knows its number.
      expect(await device()).toMatchObject({ toldBy: 'backend', attachedTo: 'work', drift: null })
      management.allowAllBut('qubes.VMShell')
      expect((await management.bench.qusb('detach', 'sys-usb', '2-1')).code).toBe(0)
      expect((await run('list', '--json')).json.warnings).toMatchObject([
        { code: 'ENDED' },
        { code: 'BY_QUBESD' },
      ])
    })

    it('attaches by rule, unless that may be what dom0 types on', async () => {
      const watching = management.start('watch', '--auto', '--json', '--no-input')
      try {
        let text = ''
        watching.child.stdout?.on('data', (chunk: Buffer | string) => {
          text += chunk.toString()
        })
        await run('rule', 'add', '--port', 'sys-usb', '2-1', 'work')
        if (qubesd === '4.2') {
          await until('the refusal', () => /typing.*"rule-refused"/.test(text))
          expect(await holder()).toBe(null)
        } else {
          await until('the attach', async () => (await holder()) === 'work')
        }
      } finally {
        watching.child.kill('SIGINT')
        await watching.done
        await run('rule', 'remove', '50-qusb.rules:3')
      }
    })

    it('doctor takes nothing for well that it cannot see', async () => {
      const { code, json } = await run('doctor', '--json')
      expect(code).toBe(0)
      const states = Object.fromEntries(
        json.checks.map((each: { id: string; state: string }) => [each.id, each.state]),
      )
      expect(states).toMatchObject({
        backends: 'ok',
        answers: 'warning',
        'usb-proxy': 'warning',
        'stuck-devices': 'warning',
      })
    })

    it('watches, and says once that it is the word of qubesd', async () => {
      const watching = management.start('watch', '--every', '1')
      let text = ''
      watching.child.stderr?.on('data', (chunk: Buffer | string) => {
        text += chunk.toString()
      })
      await watching.said('what is shown of it is the word of qubesd')
      const seen = (await management.bench.lab.status()).devices.length
      await management.bench.lab.plug({ backend: 'sys-usb', port: '2-3', kind: 'stick' })
      await until('the new one', async () => (await run('list', '--json')).json.devices.length > seen)
      let out = ''
      watching.child.stdout?.on('data', (chunk: Buffer | string) => {
        out += chunk.toString()
      })
      await management.bench.lab.unplug('sys-usb', '2-3')
      await until('its end', () => out.includes('2-3'))
      watching.child.kill('SIGINT')
      await watching.done
      expect(text.split('is the word of qubesd')).toHaveLength(2)
      expect(text).toContain(': qubes.VMShell * mgmt sys-usb allow autostart=no')
    })

    it('watches, and tells who gets it and gives it back', async () => {
      const watching = management.start('watch', '--json')
      let text = ''
      watching.child.stdout?.on('data', (chunk: Buffer | string) => {
        text += chunk.toString()
      })
      await until('watching', () => text.includes('"event":"watching"'))
      expect((await management.bench.qusb('attach', 'sys-usb', '2-1', 'work')).code).toBe(0)
      await until('the attach', () => /"device-attached".*"frontend":"work"/.test(text))
      expect((await management.bench.qusb('detach', 'sys-usb', '2-1')).code).toBe(0)
      await until('the detach', () => /"device-detached".*"frontend":"work"/.test(text))
      watching.child.kill('SIGINT')
      await watching.done
    })
  },
)
