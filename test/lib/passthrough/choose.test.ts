import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { QusbError } from '../../../src/lib/errors.ts'
import { type Alias, pinOf } from '../../../src/lib/model/alias.ts'
import type { Device } from '../../../src/lib/model/device.ts'
import { parseSelector, type Selector } from '../../../src/lib/model/selector.ts'
import { chooseDevice, describeDevice } from '../../../src/lib/passthrough/choose.ts'
import type { Naming } from '../../../src/lib/passthrough/naming.ts'
import type { QubeSurvey } from '../../../src/lib/qubes/survey-facts.ts'
import { qubeSurveySchema } from '../qubes/survey-schema.ts'
import { device } from '../view/arbitrary.ts'

const naming = (aliases: readonly Alias[]): Naming => ({
  aliases: () => aliases,
  namesOf: () => describeDevice,
})

const survey = (qube: string, devices: readonly Device[]): QubeSurvey =>
  qubeSurveySchema.parse({
    qube,
    devices,
    rejected: 0,
    truncated: false,
    asFrontend: null,
    exports: [],
    exportSlots: [],
    publishedSerials: [],
    proxy: { usbAttach: true, usbDetach: true, usbExport: true },
    ctapProxy: false,
  })

function selectorOf(text: string): Selector {
  const parsed = parseSelector(text)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed.selector
}

/** Few vendors, products and serials, so that many devices are alike; serials that a shell would run among them. */
const kinds = fc.record({
  vendorId: fc.constantFrom('1050', '0951'),
  productId: fc.constantFrom('0407', '1666'),
  serial: fc.constantFrom(null, 'A', 'B', '$(id)', 'a b', "';reboot;'"),
  named: fc.boolean(),
})

describe('an ambiguous selector', () => {
  it('lists for each device a selector that names it alone, which no shell changes and no longer than its place', () => {
    fc.assert(
      fc.property(fc.array(kinds, { minLength: 2, maxLength: 6 }), fc.boolean(), (some, two) => {
        const devices = some.map(({ named, ...fields }, i) => ({
          named,
          device: device({
            ...fields,
            backend: two && i % 2 === 1 ? 'sys-usb-dock' : 'sys-usb',
            port: `1-${i + 1}`,
            devnum: i + 1,
            controller: '0000:00:14.0',
          }),
        }))
        const aliases = devices.flatMap(({ named, device: { vendorId, productId, serial, ...at } }, i) =>
          named
            ? [
                {
                  name: `n${i}` as never,
                  devices: [
                    {
                      vendorId,
                      productId,
                      serial,
                      pin: serial === null ? pinOf({ vendorId, productId, serial, ...at }) : null,
                      description: '',
                    },
                  ],
                },
              ]
            : [],
        )
        const all = devices.map((each) => each.device)
        const surveys = ['sys-usb', 'sys-usb-dock'].map((qube) =>
          survey(
            qube,
            all.filter(({ backend }) => backend === qube),
          ),
        )
        const choose = (text: string): Device =>
          chooseDevice(inBackend(text, surveys), selectorOf(text), naming(aliases))
        let error: unknown
        try {
          choose('name:*')
        } catch (thrown) {
          error = thrown
        }
        if (!(error instanceof QusbError)) throw error ?? new Error('was not ambiguous')
        expect(error.code).toBe('AMBIGUOUS')
        const selectors = error.candidates?.map(({ selector }) => selector) ?? []
        expect(selectors).toHaveLength(all.length)
        const inOrder = surveys.flatMap(({ devices: own }) => own)
        selectors.forEach((selector, i) => {
          expect(selector).toMatch(/^[A-Za-z0-9:.@-]+$/)
          const chosen = choose(selector)
          expect([chosen.backend, chosen.port]).toEqual([inOrder[i]?.backend, inOrder[i]?.port])
          const place = `${chosen.backend}:${chosen.port}`
          expect(selector.length).toBeLessThanOrEqual(place.length)
        })
      }),
      { numRuns: 300 },
    )
  })
})

/** As a command looks only at the backend that a selector says. */
function inBackend(text: string, surveys: readonly QubeSurvey[]): QubeSurvey[] {
  const parsed = parseSelector(text)
  const backend = 'problem' in parsed ? undefined : parsed.backend
  return surveys.filter(({ qube }) => backend === undefined || backend === qube)
}
