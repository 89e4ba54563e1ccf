import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { lookUpUsbIds } from '../../../src/lib/site/usb-ids.ts'

const directory = mkdtempSync(join(tmpdir(), 'qusb-usb-ids-'))
afterAll(() => rmSync(directory, { recursive: true }))

const file = join(directory, 'usb.ids')
const write = (content: string | Buffer): void => writeFileSync(file, content)

const IDS = `\
# List of USB ID's
0781  SanDisk Corp.
	5567  Cruzer Blade
# a comment inside
	5581  Ultra
		01  an interface
08f7  Vernier
	0002  Go!Temp
	5567  Not the blade
1050  Yubico.com
C 08  Mass Storage
	06  SCSI
`

describe('names from usb.ids', () => {
  it.each([
    ['0781', '5567', 'SanDisk Corp.', 'Cruzer Blade'],
    ['0781', '5581', 'SanDisk Corp.', 'Ultra'],
    ['08f7', '0002', 'Vernier', 'Go!Temp'],
    ['0781', '0002', 'SanDisk Corp.', null],
    ['1050', '0407', 'Yubico.com', null],
    ['ffff', '0407', null, null],
  ])('%s:%s is %s, %s', (vendorId, productId, vendor, product) => {
    write(IDS)
    expect([...lookUpUsbIds(file, [{ vendorId, productId }])]).toEqual([
      [`${vendorId}:${productId}`, { vendor, product }],
    ])
  })

  it('finds the first vendor and a last line without a newline', () => {
    write('0781  SanDisk\n\t5567  Blade')
    expect(lookUpUsbIds(file, [{ vendorId: '0781', productId: '5567' }]).get('0781:5567')).toEqual({
      vendor: 'SanDisk',
      product: 'Blade',
    })
  })

  it('cleans what it finds', () => {
    write('0781  San\u001b[2JDisk\u202e\n\t5567  B\u00e9la\n')
    expect(lookUpUsbIds(file, [{ vendorId: '0781', productId: '5567' }]).get('0781:5567')).toEqual({
      vendor: 'San_[2JDisk_',
      product: 'Béla',
    })
  })

  it('knows nothing where there is no such file, or one that cannot be it', () => {
    const pair = [{ vendorId: '0781', productId: '5567' }]
    expect(lookUpUsbIds(join(directory, 'none'), pair).size).toBe(0)
    expect(lookUpUsbIds(directory, pair).size).toBe(0)
    expect(lookUpUsbIds('/dev/zero', pair).size).toBe(0)
    write(Buffer.alloc(5 * 1024 * 1024, '\n0781  x'))
    expect(lookUpUsbIds(file, pair).size).toBe(0)
  })

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        write(Buffer.concat([Buffer.from('0781  a\n'), bytes]))
        const names = lookUpUsbIds(file, [{ vendorId: '0781', productId: '5567' }]).get('0781:5567')
        expect(names?.vendor).toBe('a')
        expect(names?.product ?? '').not.toMatch(/[\p{Cc}\p{Cf}]/u)
      }),
      { numRuns: 50 },
    )
  })
})
