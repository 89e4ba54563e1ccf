import * as z from 'zod'
import { deviceSchema } from '../../../src/lib/model/device.ts'
import { identitySchema } from '../../../src/lib/model/identity.ts'
import { qubeNameSchema } from '../../../src/lib/model/names.ts'
import { portSchema, usbNumberSchema } from '../../../src/lib/model/port.ts'
import {
  pidSchema,
  type QubeSurvey,
  vhciPortSchema,
  vhciRowSchema,
} from '../../../src/lib/qubes/survey-facts.ts'

const importedDeviceSchema = z.strictObject({
  ...identitySchema.shape,
  local: portSchema,
  vhciPort: vhciPortSchema,
  hub: vhciRowSchema.shape.hub,
  busnum: usbNumberSchema,
  devnum: usbNumberSchema,
  serialUnsafe: z.boolean(),
  remoteBusnum: vhciRowSchema.shape.remoteBusnum,
  remoteDevnum: vhciRowSchema.shape.remoteDevnum,
  enumerated: z.boolean(),
  settled: z.boolean(),
})

const pendingImportSchema = z.strictObject({
  backend: qubeNameSchema,
  port: portSchema,
  pids: z.array(pidSchema).min(1).max(64),
})

/** What a survey may hold, written down again: the parser makes it field by field. */
export const qubeSurveySchema: z.ZodType<QubeSurvey> = z.strictObject({
  qube: qubeNameSchema,
  devices: z.array(deviceSchema),
  rejected: z.int().min(0),
  truncated: z.boolean(),
  imports: z.array(importedDeviceSchema),
  vhci: z.array(vhciRowSchema.strict()).nullable(),
  stateFiles: z.array(
    z.strictObject({ backend: qubeNameSchema, port: portSchema, vhciPort: vhciPortSchema }),
  ),
  pendingImports: z.array(pendingImportSchema),
  keptImports: z.array(pendingImportSchema.extend({ vhciPort: vhciPortSchema })),
  exports: z.array(z.strictObject({ port: portSchema, status: z.int().min(0).max(9) })),
  exportSlots: z.array(portSchema),
  publishedSerials: z.array(z.strictObject({ port: portSchema, serial: z.string().min(1).max(126) })),
  proxy: z.strictObject({ usbAttach: z.boolean(), usbDetach: z.boolean(), usbExport: z.boolean() }),
  ctapProxy: z.boolean(),
})
