import * as z from 'zod/mini'
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
  pids: z.array(pidSchema).check(z.minLength(1), z.maxLength(64)),
})

/** What a survey may hold, written down again: the parser makes it field by field. */
export const qubeSurveySchema: z.ZodMiniType<QubeSurvey> = z.strictObject({
  qube: qubeNameSchema,
  devices: z.array(deviceSchema),
  rejected: z.int().check(z.minimum(0)),
  truncated: z.boolean(),
  imports: z.array(importedDeviceSchema),
  vhci: z.nullable(z.array(z.strictObject(vhciRowSchema.shape))),
  stateFiles: z.array(
    z.strictObject({ backend: qubeNameSchema, port: portSchema, vhciPort: vhciPortSchema }),
  ),
  pendingImports: z.array(pendingImportSchema),
  keptImports: z.array(z.extend(pendingImportSchema, { vhciPort: vhciPortSchema })),
  exports: z.array(z.strictObject({ port: portSchema, status: z.int().check(z.minimum(0), z.maximum(9)) })),
  exportSlots: z.array(portSchema),
  publishedSerials: z.array(
    z.strictObject({ port: portSchema, serial: z.string().check(z.minLength(1), z.maxLength(126)) }),
  ),
  proxy: z.strictObject({ usbAttach: z.boolean(), usbDetach: z.boolean(), usbExport: z.boolean() }),
  ctapProxy: z.boolean(),
})
