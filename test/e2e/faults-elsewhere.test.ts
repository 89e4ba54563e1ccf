import { afterAll, afterEach, describe, it } from 'vitest'
import { ELSEWHERE } from './strikes.ts'
import { endReady, endUsed, strikeAll } from './striking.ts'

afterEach(async () => await endUsed(), 30_000)
afterAll(async () => await endReady(), 30_000)

describe('at every step of an attach and a detach, at the frontends and in dom0', () => {
  for (const strike of ELSEWHERE) {
    it(
      strike.blows.map(({ name, at }) => `${name} at the ${at}`).join(', '),
      {
        timeout: 150_000,
      },
      async () => await strikeAll(strike),
    )
  }
})
