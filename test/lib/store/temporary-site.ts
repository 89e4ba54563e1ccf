import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type AttachmentRecord, attachmentRecordSchema } from '../../../src/lib/model/attachment.ts'
import { type Site, siteFrom } from '../../../src/lib/site/site.ts'

export interface TemporarySite extends Site {
  /** What the worker reads to find the same site. */
  siteFile: string
}

/** A site whose directories are in a temporary one, which goes when the test ends; state and run are not made yet. */
export function makeSite(): TemporarySite {
  const root = mkdtempSync(join(tmpdir(), 'qusb-store-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  // Some tests look at it as another user.
  chmodSync(root, 0o755)
  const bootIdFile = join(root, 'boot_id')
  writeFileSync(bootIdFile, '11111111-2222-3333-4444-555555555555\n')
  const paths = { stateDir: join(root, 'state'), runDir: join(root, 'run'), bootIdFile }
  const siteFile = join(root, 'site.json')
  writeFileSync(siteFile, JSON.stringify(paths))
  return { ...siteFrom(paths), siteFile }
}

/** A valid record; its id is made of a number. */
export function makeRecord(number: number, changes: Partial<AttachmentRecord> = {}): AttachmentRecord {
  const record = attachmentRecordSchema.parse({
    id: number.toString(16).padStart(16, '0'),
    backend: 'sys-usb',
    port: `${1 + (number % 4)}-${1 + (number % 200)}`,
    frontend: 'work',
    stubdom: false,
    device: {
      vendorId: '1050',
      productId: '0407',
      serial: 'A1',
      interfaces: ['030101', '0b0000'],
      busnum: 2,
      devnum: 3,
      description: 'Yubico YubiKey',
    },
    phase: 'attached',
    goal: 'attached',
    since: '2026-01-02T03:04:05.678Z',
    by: { user: 'user', pid: 77, rule: null },
    grant: null,
    bootId: '11111111-2222-3333-4444-555555555555',
    slept: 0,
    backendDomain: 4,
    frontendDomain: 9,
  })
  return { ...record, ...changes }
}
