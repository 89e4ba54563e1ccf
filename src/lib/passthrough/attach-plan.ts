import { formatVidPid } from '../model/identity.ts'
import { formatGrant } from '../qubes/grant.ts'
import { type AttachRequest, type Chosen, callerOf } from './attach-choice.ts'
import { describeDevice } from './choose.ts'
import { guardsAgainst } from './guards.ts'
import type { PlanStep } from './results.ts'

/** What --dry-run prints. */
export function planAttach(chosen: Chosen, request: AttachRequest): PlanStep[] {
  const { device, place } = chosen
  const caller = callerOf(place)
  const reasons = guardsAgainst(device)
  return [
    ...reasons.map((reason) => ({ step: request.force ? 'forced' : 'refused', what: reason })),
    { step: 'lock', what: `${place.backend}:${place.port}, then ${place.frontend}` },
    ...(device.attachedTo === null
      ? []
      : [
          {
            step: 'detach',
            what: `${place.backend}:${place.port} from ${device.attachedTo}, which gets it back should the attach fail`,
          },
        ]),
    ...(request.via === 'admin'
      ? [
          {
            step: 'call',
            what: `admin.vm.device.usb.Attach of qubesd, manual: ${place.backend}+${place.port}`,
          },
        ]
      : [
          { step: 'grant', what: formatGrant({ ...place, caller }).trim() },
          { step: 'call', what: `qubes.USBAttach in ${caller}, as root: ${place.backend} ${place.port}` },
          { step: 'revoke', what: 'the grant' },
        ]),
    {
      step: 'look',
      what: `${device.toldBy === 'qubesd' ? 'qubesd' : place.backend} says that ${place.frontend} has ${formatVidPid(device)} ${describeDevice(device)}`,
    },
    { step: 'record', what: 'the attachment, in the store' },
  ]
}
