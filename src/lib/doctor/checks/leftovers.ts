import { QusbError } from '../../errors.ts'
import type { AttachmentRecord } from '../../model/attachment.ts'
import type { QubeName } from '../../model/names.ts'
import type { Context } from '../../passthrough/context.ts'
import { deviceAt } from '../../passthrough/look.ts'
import { type DevicePlace, lockOrConflict } from '../../passthrough/place-locks.ts'
import { forgetStateFile } from '../../passthrough/release.ts'
import { returnToDriver } from '../../passthrough/return-to-driver.ts'
import { settle } from '../../passthrough/settle.ts'
import { listGrants, listOldGrants, removeLeftGrant } from '../../qubes/grant.ts'
import { ROOT_SHELL } from '../../qubes/qrexec.ts'
import { policyLine } from '../../qubes/refusal.ts'
import { readState } from '../../store/store.ts'
import { type Check, type Examination, orWell, unseen, warn } from '../check.ts'

/** qubesd removes its own as soon as an attach is over: longer than any takes, ms. */
const OLD_GRANT_MS = 60_000

export const grantsCheck: Check = {
  id: 'grants',
  only: 'dom0',
  title: 'grants left over',
  about: 'Lines of policy that outlived their attach. Those of qusb are removed; one of qubesd is told.',
  run: ({ context: { site }, program }) => {
    const there = listGrants(site)
    // Read after them: the store tells of a grant before it is written.
    const alive = new Set(readState(site).state.attachments.map(({ grant }) => grant))
    const ours = there
      .filter(({ name }) => !alive.has(name))
      .map(({ directory, name }) =>
        directory === site.policyDir
          ? warn(`${directory}/${name} was left over: it still allows one device to one qube`, {
              fix: 'qusb doctor --fix removes it.',
              mend: async () => {
                removeLeftGrant(site, name)
                return `${directory}/${name} is removed`
              },
            })
          : warn(`${directory}/${name} was left over, where qusb writes no grants`, {
              fix: `sudo rm ${directory}/${name}`,
            }),
      )
    const others = listOldGrants(site, program.now)
      .filter(({ ageMs }) => ageMs > OLD_GRANT_MS)
      .map(({ file }) =>
        warn(`${file} was left over by qubesd: it denies that device to every other qube`, {
          fix: `When nothing is being attached: sudo rm ${file}`,
        }),
      )
    return orWell([...ours, ...others], 'none')
  },
}

export const operationsCheck: Check = {
  id: 'operations',
  title: 'operations left open',
  about: 'What a qusb that died had begun. It is brought to an end.',
  run: ({ context, records }) => {
    const open = records.filter((record) => record.phase !== 'attached' && !isAtWork(record))
    const findings = open.map((record) =>
      warn(`${describe(record)} was left open (${record.phase})`, {
        qube: record.backend,
        fix: 'qusb doctor --fix brings it to an end, as the next qusb command does.',
        mend: async () => await settleOne(context, record),
      }),
    )
    return orWell(findings, 'none')
  },
}

/** Its owner still runs: then it is theirs to end. */
function isAtWork(record: AttachmentRecord): boolean {
  if (record.phase === 'unresolved' || record.phase === 'leftover') return false
  try {
    process.kill(record.by.pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function describe({ backend, port, frontend }: AttachmentRecord): string {
  return `what was begun with ${backend}:${port} and ${frontend}`
}

async function settleOne(context: Context, record: AttachmentRecord): Promise<string> {
  const told = await settle(context)
  const left = readState(context.site).state.attachments.find(({ id }) => id === record.id)
  if (left === undefined || left.phase === 'attached') {
    return left === undefined ? 'it is undone' : 'it had come through'
  }
  const why = told.find(({ qube }) => qube === record.backend)?.message ?? 'a qube does not answer'
  throw new QusbError('TIMEOUT', why)
}

/** A state file of an import that is over: the proxy's detach would free whatever sits on that port by now. */
export const stateFilesCheck: Check = {
  id: 'state-files',
  only: 'dom0',
  title: 'stale state files',
  about:
    'Notes in a frontend of a device that it no longer has, by which another could be cut off. They are removed.',
  run: (examination) => {
    const { seen, qubes, context } = examination
    const findings = qubes.flatMap((frontend) =>
      staleFilesOf(examination, frontend).map(({ backend, port }) =>
        warn(`${frontend} keeps a state file of ${backend}:${port}, which it does not have`, {
          qube: frontend,
          fix: 'qusb doctor --fix removes it.',
          mend: async () =>
            await underLock(context, { backend, port }, async () => {
              if (await forgetStateFile(context, { backend, port, frontend, stubdom: false }))
                return 'it is removed'
              throw new QusbError('TIMEOUT', `${frontend} did not remove it`)
            }),
        }),
      ),
    )
    return orWell(findings, seen.surveys.size === 0 ? 'no qube could be asked' : 'none')
  },
}

function staleFilesOf({ seen, sockets }: Examination, frontend: QubeName): DevicePlace[] {
  const facts = seen.surveys.get(frontend)?.asFrontend
  const inUse = [...(facts?.pendingImports ?? []), ...(facts?.keptImports ?? [])]
  return (facts?.stateFiles ?? []).filter(({ backend, port }) => {
    if (inUse.some((entry) => entry.backend === backend && entry.port === port)) return false
    const there = seen.surveys.get(backend)
    // A backend that runs and was not asked, or does not answer, may well say that it is true.
    if (there === undefined) return !sockets.has(backend)
    return deviceAt(there, port)?.attachedTo !== frontend
  })
}

/** A device that nobody has and that is not on its driver: the backend itself cannot use it. */
export const stuckCheck: Check = {
  id: 'stuck-devices',
  title: 'devices stuck on usbip-host',
  about:
    'Devices that nobody has, and that the backend has not got back. They are given back to their driver.',
  run: (examination) => {
    const { context, seen, backends, qubes, named, records, management } = examination
    const needs = (backend: QubeName): string =>
      management ? ` From here it needs ${ROOT_SHELL}. ${policyLine(context.site, ROOT_SHELL, backend)}` : ''
    const findings = backends
      .filter((name) => named.size === 0 || qubes.includes(name))
      .flatMap((name) => seen.surveys.get(name)?.devices ?? [])
      .filter(({ state, driver }) => state === 'free' && driver === 'usbip-host')
      .filter(
        ({ backend, port }) => !records.some((record) => record.backend === backend && record.port === port),
      )
      .map(({ backend, port }) =>
        warn(`${backend}:${port} is free, and ${backend} has not got it back: it is still on usbip-host`, {
          qube: backend,
          fix: `qusb doctor --fix gives it back, as qusb detach does.${needs(backend)}`,
          mend: async () =>
            await underLock(context, { backend, port }, async () => {
              const { kept } = await returnToDriver(context, { backend, port })
              if (kept === undefined) return `it is given back to ${backend}`
              throw new QusbError(kept.code, kept.why)
            }),
        }),
      )
    return orWell([...findings, ...unseen({ seen }, 'has one')], 'none')
  },
}

async function underLock<T>(context: Context, place: DevicePlace, work: () => Promise<T>): Promise<T> {
  const lock = await lockOrConflict(context, place)
  try {
    return await work()
  } finally {
    lock.release()
  }
}
