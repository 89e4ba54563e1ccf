import { spawnSync } from 'node:child_process'
import { lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const root = mkdtempSync(join(tmpdir(), 'qusb-setup-'))
afterAll(() => rmSync(root, { recursive: true }))

const paths = {
  stateDir: join(root, 'var/qusb'),
  configDir: join(root, 'etc/qusb'),
  runDir: join(root, 'run/qusb'),
  tmpfilesDir: join(root, 'etc/tmpfiles.d'),
  rpcDir: join(root, 'etc/qubes-rpc'),
  keptPolicyDir: join(root, 'etc/qubes/policy.d'),
  unitDir: join(root, 'etc/systemd/system'),
  setupDir: join(root, 'var/qusb-setup'),
}
for (const parent of ['etc', 'run', 'var']) mkdirSync(join(root, parent))
const site = join(root, 'site.json')
writeFileSync(site, JSON.stringify(paths), { mode: 0o600 })

function setUp(group: string, ...args: string[]): { status: number | null; json: Record<string, unknown> } {
  const { status, stdout } = spawnSync(
    process.execPath,
    [resolve('bin/qusb.cjs'), 'setup', 'dom0', '--json', '--group', group, ...args],
    { encoding: 'utf8', env: { PATH: process.env.PATH, QUSB_SITE: site } },
  )
  return { status, json: JSON.parse(stdout) }
}

describe('qusb setup dom0', () => {
  it('plans, does, and the second time does nothing; it is for root alone', () => {
    if (process.getuid?.() !== 0) {
      expect(setUp('root')).toMatchObject({ status: 6, json: { error: { code: 'REFUSED' } } })
      expect(lstatSync(paths.stateDir, { throwIfNoEntry: false })).toBeUndefined()
      return
    }
    const planned = setUp('root', '--dry-run')
    expect(planned).toMatchObject({ status: 0, json: { schema: 1, changed: false, done: [] } })
    expect(planned.json.plan).toHaveLength(8)
    expect(lstatSync(paths.stateDir, { throwIfNoEntry: false })).toBeUndefined()

    const done = setUp('root')
    expect(done).toMatchObject({ status: 0, json: { changed: true } })
    expect(done.json.done).toContainEqual({ path: paths.stateDir, action: 'made', what: '2770 root:root' })
    expect(lstatSync(paths.stateDir).mode & 0o7777).toBe(0o2770)

    expect(setUp('root')).toMatchObject({ status: 0, json: { changed: false } })
  })

  it('says what to do where the group is missing', () => {
    expect(setUp('no_such_group')).toMatchObject({
      status: 3,
      json: { error: { code: 'NOT_FOUND', hint: expect.stringContaining('--group') } },
    })
  })
})
