import * as z from 'zod'
import type { ErrorCode } from '../errors.ts'
import { deviceSchema } from '../model/device.ts'
import { hex4Schema, interfaceCodeSchema, SERIAL_LIMIT } from '../model/identity.ts'
import { qubeNameSchema } from '../model/names.ts'
import { portSchema } from '../model/port.ts'

/**
 * Parsed without zod's compiler: for the few rows and devices of a survey, compiling costs more than it saves, and the
 * first survey is in most runs the only one.
 */
export const UNCOMPILED = { jitless: true }

/** The speeds that a virtual host controller keeps ports for: USB 2 and USB 3. */
export const vhciHubSchema = z.enum(['hs', 'ss'])

/** A port of a virtual host controller, as its `status` file prints it: `0003`; never to be read as a number. */
export const vhciPortSchema = z.string().regex(/^[0-9]{1,6}$/)

/** One row of `vhci_hcd.0/status*` (drivers/usb/usbip/vhci_sysfs.c). */
export const vhciRowSchema = z.object({
  port: vhciPortSchema,
  hub: vhciHubSchema,
  /** 4: free, 5: not assigned yet, 6: used, 7: error. */
  status: z.int().min(0).max(999),
  /** Where the device is in its backend; null while the port carries none. */
  remoteBusnum: z.int().min(1).max(65_535).nullable(),
  remoteDevnum: z.int().min(1).max(65_535).nullable(),
  /** The name of the device here, `3-1`; null until the hub has it. */
  local: portSchema.nullable(),
})
export type VhciRow = z.infer<typeof vhciRowSchema>

/** A device of another qube that this one has: it sits below a virtual host controller. */
export const importedDeviceSchema = z.object({
  /** Its name in sysfs here. */
  local: portSchema,
  vhciPort: vhciPortSchema,
  hub: vhciHubSchema,
  /** Numbers here, which say nothing of the numbers in the backend. */
  busnum: z.int().min(1).max(999),
  devnum: z.int().min(1).max(999),
  vendorId: hex4Schema,
  productId: hex4Schema,
  serial: z.string().max(SERIAL_LIMIT).nullable(),
  serialUnsafe: z.boolean(),
  interfaces: z.array(interfaceCodeSchema).max(64),
  remoteBusnum: z.int().min(1).max(65_535).nullable(),
  remoteDevnum: z.int().min(1).max(65_535).nullable(),
  /** Its row says used and it has interfaces: the kernel has read all its descriptors. */
  enumerated: z.boolean(),
  /** Enumerated, and a driver has an interface of it. A device that no driver knows never settles. */
  settled: z.boolean(),
})
export type ImportedDevice = z.infer<typeof importedDeviceSchema>

/** A file `usb-import-BACKEND-PORT.state`: what the proxy believes to have imported. May be stale. */
export const stateFileSchema = z.object({
  backend: qubeNameSchema,
  port: portSchema,
  vhciPort: vhciPortSchema,
})
export type StateFile = z.infer<typeof stateFileSchema>

/**
 * An attach that has not finished: its processes. It is under way, or an ended client left it behind.
 * usb-import lives on until its device is gone, so a finished one has processes too: those are in `keptImports`.
 */
export const pendingImportSchema = z.object({
  backend: qubeNameSchema,
  port: portSchema,
  pids: z.array(z.int().min(2).max(4_194_304)).min(1).max(64),
})
export type PendingImport = z.infer<typeof pendingImportSchema>

/** What one look at a qube found. All of it is that qube's claim; every text is clean. */
export const qubeSurveySchema = z.object({
  qube: qubeNameSchema,
  /** Its own USB devices, hubs and hidden ones with their flags; no imports. In the order of ports. */
  devices: z.array(deviceSchema),
  /** How many entries were dropped since they were not valid. */
  rejected: z.int().min(0),
  /** The probe stopped at its limit: there is more than is told here. */
  truncated: z.boolean(),
  imports: z.array(importedDeviceSchema),
  /** null where the qube has no virtual host controller. */
  vhci: z.array(vhciRowSchema).nullable(),
  stateFiles: z.array(stateFileSchema),
  pendingImports: z.array(pendingImportSchema),
  /**
   * Processes that keep a finished import: their state file is the only one that names its port of the virtual host
   * controller, and an enumerated device sits there.
   */
  keptImports: z.array(pendingImportSchema.extend({ vhciPort: vhciPortSchema })),
  /** `usbip_status` of each device that is on usbip-host: 1 available, 2 used, 3 error. */
  exports: z.array(z.object({ port: portSchema, status: z.int().min(0).max(9) })),
  /** The ports in usbip-host's table, which has room for 16 and frees none (docs/facts.md#slots-of-usbip-host). */
  exportSlots: z.array(portSchema),
  /** The serial that the backend publishes, where it is another than the device's own (udev changes some). */
  publishedSerials: z.array(z.object({ port: portSchema, serial: z.string().max(SERIAL_LIMIT) })),
  /** Which services of the USB proxy are there. */
  proxy: z.object({ usbAttach: z.boolean(), usbDetach: z.boolean(), usbExport: z.boolean() }),
  /** It serves security keys to other qubes (`ctap.*`, `u2f.*`). */
  ctapProxy: z.boolean(),
})
export type QubeSurvey = z.infer<typeof qubeSurveySchema>

/** Why a qube could not be surveyed; becomes a warning, or an error where the qube was named. */
export interface SurveyFailure {
  qube: z.infer<typeof qubeNameSchema>
  code: ErrorCode
  message: string
  hint?: string
  detail?: string
}
