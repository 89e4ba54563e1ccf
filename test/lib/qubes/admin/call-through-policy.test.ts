import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { QubeName } from '../../../../src/lib/model/names.ts'
import { callAdmin } from '../../../../src/lib/qubes/admin/call.ts'
import { streamEvents } from '../../../../src/lib/qubes/admin/event-stream.ts'
import { type Site, siteFrom } from '../../../../src/lib/site/site.ts'
import { until } from '../../../e2e/program.ts'

let dir: string
let site: Site
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qusb-policy-'))
  site = siteFrom({
    qrexecClient: join(dir, 'none'),
    qubesdSocket: join(dir, 'none.sock'),
    qrexecClientVm: join(dir, 'client-vm'),
    qubeName: 'mgmt',
  })
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** A qrexec-client-vm that does this, after it has said who it is and what it was called with. */
function writeClient(script: string): void {
  const text = `#!/bin/sh\necho $$ >'${dir}/pid'\necho "$*" >'${dir}/args'\n${script}\n`
  writeFileSync(site.qrexecClientVm, text, { mode: 0o755 })
}

const read = (name: string): string => readFileSync(join(dir, name), 'utf8').trim()
const clientIsGone = async (): Promise<void> =>
  await until(
    'the end of the client',
    () => existsSync(join(dir, 'pid')) && !existsSync(`/proc/${read('pid')}`),
  )
const work = 'work' as QubeName

describe('a call of the Admin API through qrexec-client-vm', () => {
  it.each([
    [{ method: 'admin.vm.List' } as const, '-- dom0 admin.vm.List'],
    [
      { method: 'admin.vm.device.usb.Detach', arg: 'sys-usb+2-1+_', dest: work } as const,
      '-- work admin.vm.device.usb.Detach+sys-usb+2-1+_',
    ],
  ])('names the call and whom it is about', async (call, args) => {
    writeClient(`cat >'${dir}/payload'; printf '0\\000well'`)
    const answer = await callAdmin(site, { ...call, payload: "a='b'", timeoutMs: 20_000 })
    expect(answer.toString()).toBe('well')
    expect(read('args')).toBe(args)
    expect(read('payload')).toBe("a='b'")
  })

  it('reads answers that are larger than any buffer', async () => {
    writeClient(`printf '0\\000'; head -c 900000 /dev/zero | tr '\\000' x`)
    expect((await callAdmin(site, { method: 'admin.vm.List', timeoutMs: 20_000 })).length).toBe(900_000)
  })

  it.each([
    [
      'exit 126',
      { code: 'REFUSED', type: 'policy', hint: /: admin\.vm\.List \* mgmt dom0 allow target=dom0$/ },
    ],
    ['exit 127', { code: 'REFUSED', type: 'empty', message: 'dom0 has no service admin.vm.List' }],
    ['exit 125', { code: 'NOT_RUNNING', type: 'unreachable' }],
    ["printf '0\\000half'; exit 1", { code: 'NOT_RUNNING', type: 'unreachable' }],
    ['exit 0', { code: 'REFUSED', type: 'empty' }],
    ["printf 'nonsense'", { type: 'malformed' }],
    ["printf '2\\000QubesVMNotFoundError\\000\\000no such\\000'", { code: 'NOT_FOUND' }],
  ])('tells how it ended: %s', async (script, { hint, ...expected }: Record<string, unknown>) => {
    writeClient(script)
    const call = callAdmin(site, { method: 'admin.vm.List', timeoutMs: 20_000 })
    await expect(call).rejects.toMatchObject({
      ...expected,
      ...(hint === undefined ? {} : { hint: expect.stringMatching(hint as RegExp) }),
    })
  })

  it('says that it cannot run the client', async () => {
    writeFileSync(site.qrexecClientVm, 'not a program')
    await expect(callAdmin(site, { method: 'admin.vm.List', timeoutMs: 20_000 })).rejects.toMatchObject({
      type: 'unreachable',
    })
  })

  it('ends a client that answers without an end, and one that is deaf', async () => {
    writeClient('exec cat /dev/zero')
    const endless = callAdmin(site, { method: 'admin.vm.List', timeoutMs: 20_000 })
    await expect(endless).rejects.toMatchObject({ type: 'malformed' })
    await clientIsGone()
    writeClient("trap '' TERM INT\nwhile :; do read -r line || :; done")
    const deaf = callAdmin(site, { method: 'admin.vm.List', timeoutMs: 500 })
    await expect(deaf).rejects.toMatchObject({ type: 'timeout' })
    await clientIsGone()
  })

  it('streams events, and ends the client with the stream', async () => {
    writeClient(`printf '1\\000\\000connection-established\\000\\000'; exec sleep 60`)
    const ending = new AbortController()
    const kinds: string[] = []
    for await (const event of streamEvents(site, ending.signal)) {
      kinds.push(event.kind)
      ending.abort()
    }
    expect(kinds).toEqual(['connected'])
    expect(read('args')).toBe('-- dom0 admin.Events')
    await clientIsGone()
  })
})
