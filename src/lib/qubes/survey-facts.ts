import * as z from 'zod/mini'
import type { ErrorCode } from '../errors.ts'
import type { Device } from '../model/device.ts'
import type { Identity } from '../model/identity.ts'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'

/** A port of a virtual host controller, as its `status` file prints it: `0003`; never to be read as a number. */
export const vhciPortSchema = z.string().check(z.regex(/^[0-9]{1,6}$/))

/** One row of `vhci_hcd.0/status*` (drivers/usb/usbip/vhci_sysfs.c). */
export interface VhciRow {
  /** As `vhciPortSchema` has it. */
  port: string
  /** The speeds that the port is kept for: USB 2, or USB 3. */
  hub: 'hs' | 'ss'
  /** 4: free, 5: not assigned yet, 6: used, 7: error. */
  status: number
  /** Where the device is in its backend; null while the port carries none. */
  remoteBusnum: number | null
  remoteDevnum: number | null
  /** The name of the device here, `3-1`; null until the hub has it. */
  local: Port | null
}

/** A device of another qube that this one has: it sits below a virtual host controller. */
export interface ImportedDevice extends Identity {
  /** Its name in sysfs here. */
  local: Port
  vhciPort: string
  hub: VhciRow['hub']
  /** Numbers here, which say nothing of the numbers in the backend. */
  busnum: number
  devnum: number
  serialUnsafe: boolean
  remoteBusnum: number | null
  remoteDevnum: number | null
  /** Its row says used and it has interfaces: the kernel has read all its descriptors. */
  enumerated: boolean
  /** Enumerated, and a driver has an interface of it. A device that no driver knows never settles. */
  settled: boolean
}

/** A file `usb-import-BACKEND-PORT.state`: what the proxy believes to have imported. May be stale. */
export interface StateFile {
  backend: QubeName
  port: Port
  vhciPort: string
}

/** What a process id may be (proc(5), pid_max); 1 is nobody's import. */
export const pidSchema = z.int().check(z.minimum(2), z.maximum(4_194_304))

/**
 * An attach that has not finished: its processes. It is under way, or an ended client left it behind.
 * usb-import lives on until its device is gone, so a finished one has processes too: those are in `keptImports`.
 */
export interface PendingImport {
  backend: QubeName
  port: Port
  pids: number[]
}

/** What a qube has of others' devices, and what keeps them there. */
export interface FrontendFacts {
  imports: ImportedDevice[]
  /** null where the qube has no virtual host controller. */
  vhci: VhciRow[] | null
  stateFiles: StateFile[]
  pendingImports: PendingImport[]
  /**
   * Processes that keep a finished import: their state file is the only one that names its port of the virtual host
   * controller, and an enumerated device sits there.
   */
  keptImports: (PendingImport & { vhciPort: string })[]
}

/** What one look at a qube found. All of it is that qube's claim; every text is clean. */
export interface QubeSurvey {
  qube: QubeName
  /** Its own USB devices, hubs and hidden ones with their flags; no imports. In the order of ports. */
  devices: Device[]
  /** How many entries were dropped since they were not valid. */
  rejected: number
  /** The probe stopped at its limit: there is more than is told here. */
  truncated: boolean
  /** What it has of others; null where that was not looked for. */
  asFrontend: FrontendFacts | null
  /** `usbip_status` of each device that is on usbip-host: 1 available, 2 used, 3 error. */
  exports: { port: Port; status: number }[]
  /** The ports in usbip-host's table, which has room for 16 and frees none (docs/facts.md#slots-of-usbip-host). */
  exportSlots: Port[]
  /** The serial that the backend publishes, where it is another than the device's own (udev changes some). */
  publishedSerials: { port: Port; serial: string }[]
  /** Which services of the USB proxy are there. */
  proxy: { usbAttach: boolean; usbDetach: boolean; usbExport: boolean }
  /** It serves security keys to other qubes (`ctap.*`, `u2f.*`). */
  ctapProxy: boolean
  /**
   * All of it is qubesd's word, since nothing can be run in the qube: why, and which frontends policy does not let be asked
   * for what they have.
   */
  byQubesd?: { because: SurveyFailure; unheard: readonly QubeName[] }
}

/** Why a qube could not be surveyed; becomes a warning, or an error where the qube was named. */
export interface SurveyFailure {
  qube: QubeName
  code: ErrorCode
  /** Nothing can be run in it, now or later, though it may well run. */
  noShell?: true
  message: string
  hint?: string
  detail?: string
}
