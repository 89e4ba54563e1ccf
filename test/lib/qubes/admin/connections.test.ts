import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Connections } from '../../../../src/lib/qubes/admin/connections.ts'

it('no more than eight at once, in the order of asking, and an error gives its connection back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 40 }), async (fails) => {
      const connections = new Connections()
      const begun: number[] = []
      let open = 0
      let most = 0
      const ended = await Promise.allSettled(
        fails.map((fail, i) =>
          connections.whenFree(async () => {
            begun.push(i)
            most = Math.max(most, ++open)
            await sleep(0)
            open--
            if (fail) throw new Error(`${i}`)
            return i
          }),
        ),
      )
      expect(begun).toEqual(fails.map((_, i) => i))
      expect(most).toBe(Math.min(8, fails.length))
      expect(ended.map(({ status }) => status === 'rejected')).toEqual(fails)
    }),
    { numRuns: 50 },
  )
})
