import * as z from 'zod/mini'
import { deviceSchema } from '../../../src/lib/model/device-schema.ts'
import { identitySchema, portSchema, qubeNameSchema, usbNumberSchema } from '../../../src/lib/model/fields.ts'
import { pidSchema, type QubeSurvey, vhciPortSchema } from '../../../src/lib/qubes/survey-facts.ts'

const remoteNumberSchema = z.nullable(z.int().check(z.minimum(1), z.maximum(65_535)))

const vhciRowSchema = z.strictObject({
  port: vhciPortSchema,
  hub: z.enum(['hs', 'ss']),
  status: z.int().check(z.minimum(0), z.maximum(999)),
  remoteBusnum: remoteNumberSchema,
  remoteDevnum: remoteNumberSchema,
  local: z.nullable(portSchema),
})

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

const frontendFactsSchema = z.strictObject({
  imports: z.array(importedDeviceSchema),
  vhci: z.nullable(z.array(vhciRowSchema)),
  stateFiles: z.array(
    z.strictObject({ backend: qubeNameSchema, port: portSchema, vhciPort: vhciPortSchema }),
  ),
  pendingImports: z.array(pendingImportSchema),
  keptImports: z.array(z.extend(pendingImportSchema, { vhciPort: vhciPortSchema })),
})

/** What a survey may hold, written down again: the parser makes it field by field. */
export const qubeSurveySchema: z.ZodMiniType<QubeSurvey> = z.strictObject({
  qube: qubeNameSchema,
  devices: z.array(deviceSchema),
  rejected: z.int().check(z.minimum(0)),
  truncated: z.boolean(),
  asFrontend: z.nullable(frontendFactsSchema),
  exports: z.array(z.strictObject({ port: portSchema, status: z.int().check(z.minimum(0), z.maximum(9)) })),
  exportSlots: z.array(portSchema),
  publishedSerials: z.array(
    z.strictObject({ port: portSchema, serial: z.string().check(z.minLength(1), z.maxLength(126)) }),
  ),
  proxy: z.strictObject({ usbAttach: z.boolean(), usbDetach: z.boolean(), usbExport: z.boolean() }),
  ctapProxy: z.boolean(),
})
