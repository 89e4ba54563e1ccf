import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import { listenForHints } from '../host/hint-socket.ts'
import { Bell } from '../passthrough/bell.ts'
import type { Context } from '../passthrough/context.ts'
import type { WatchEvent } from '../passthrough/results.ts'
import { settle } from '../passthrough/settle.ts'
import { type WatchRequest, watch } from '../passthrough/watch.ts'
import { ensureDirectory } from '../store/directory.ts'
import { acquireLock } from '../store/lock.ts'
import { AutoAttacher, type Telling } from './auto-attacher.ts'
import type { Doing } from './work.ts'

/** An auto-attacher that runs until its context's signal ends it. */
export interface WatchingByRules {
  /** Whether an interrupt would have something to undo. */
  isBusy(): boolean
  run(): Promise<void>
}

/**
 * Watches, and applies the rules to what is seen. One such watcher at a time: two would attach in turn what the user
 * detaches.
 * @param telling told of each event, the rules' own among them, and of what is wrong
 */
export function watchByRules(
  context: Context,
  request: WatchRequest,
  telling: Pick<Telling, 'warn'> & { tell(event: WatchEvent): void },
  doing: Doing,
): WatchingByRules {
  let source: WatchEvent['source'] = 'surveys'
  const bell = new Bell(context.signal)
  const tell: Telling['tell'] = (event) =>
    telling.tell({ schema: 1, at: new Date().toISOString(), source, ...event })
  const auto = new AutoAttacher(context, bell, { warn: telling.warn, tell }, doing)
  return {
    isBusy: () => auto.isBusy,
    async run() {
      const lock = await lockWatcher(context)
      try {
        const hints = await listenForHints(context.site, (from) => bell.ring(from ?? 'all'))
        try {
          for (const warning of await settle(context)) telling.warn(warning)
          auto.start()
          for await (const event of watch(context, request, telling.warn, auto)) {
            source = event.source
            telling.tell(event)
          }
        } finally {
          hints.close()
          await auto.end()
        }
      } finally {
        lock.release()
      }
    },
  }
}

/** @throws QusbError CONFLICT when another watcher applies the rules */
async function lockWatcher({ site, signal }: Context): Promise<{ release(): void }> {
  ensureDirectory(site.runDir)
  const lock = await acquireLock(site, join(site.runDir, 'watcher.lock'), { waitMs: 0, signal })
  if ('release' in lock) return lock
  throw new QusbError('CONFLICT', 'another qusb applies the rules already', {
    hint:
      lock.holder === null
        ? 'See: systemctl status "qusb-watch@*"'
        : `It is process ${lock.holder}: ps -fp ${lock.holder}`,
  })
}
