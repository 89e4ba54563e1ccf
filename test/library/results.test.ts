import { expect, it } from 'vitest'
import type * as z from 'zod/mini'
import type * as commands from '../../src/lib/passthrough/results.ts'
import type * as rules from '../../src/lib/rules/results.ts'
import type * as library from '../../src/library/results.ts'

/** Without the brands, which only our own code can give. */
type Plain<T> = T extends string & z.core.$brand
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : { [K in keyof T]: Plain<T[K]> }
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

// The types are compared by `npm run types`: a field that one of them has and the other has not is a false here.
it('has in its types what the commands give back', () => {
  const same: [
    Same<Plain<commands.ListResult>, library.ListResult>,
    Same<keyof commands.ListedDevice, keyof library.Device>,
    Same<Plain<commands.AttachResult>, library.AttachResult>,
    Same<keyof commands.Attachment, keyof library.Attachment>,
    Same<Plain<commands.DetachResult>, library.DetachResult>,
    Same<Plain<commands.WatchEvent>, library.WatchEvent>,
    Same<keyof commands.WatchEvent, keyof library.WatchEvent>,
    Same<Plain<rules.Foreseen>, library.Explanation>,
    Same<keyof rules.ShownRule, keyof library.Rule>,
  ] = [true, true, true, true, true, true, true, true, true]
  expect(same).not.toContain(false)
})
