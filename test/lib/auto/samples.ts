import type { Device } from '../../../src/lib/model/device.ts'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { Port } from '../../../src/lib/model/port.ts'
import type { Decision } from '../../../src/lib/rules/decide.ts'
import { DEFAULT_OPTIONS, type RuleOptions } from '../../../src/lib/rules/options.ts'
import type { Rule } from '../../../src/lib/rules/rule.ts'

/** A stick that nobody has. */
export const DEVICE: Device = {
  backend: 'sys-usb' as QubeName,
  port: '2-1' as Port,
  toldBy: 'backend',
  busnum: 2,
  devnum: 3,
  vendorId: '0951',
  productId: '1666',
  serial: 'ONE',
  serialUnsafe: false,
  manufacturer: null,
  product: null,
  interfaces: ['080650'],
  interfaceDrivers: [],
  speed: 480,
  state: 'free',
  attachedTo: null,
  driver: 'usb',
  hub: false,
  hidden: false,
  controller: null,
  inputForDom0: false,
  usage: [],
}

/** A decision by one rule. */
export function decisionFor(
  action: Decision['action'],
  frontend: QubeName | null,
  options: Partial<RuleOptions> = {},
): Decision & { rule: Rule } {
  return {
    action,
    rule: {
      deviceText: '*',
      device: null,
      backend: null,
      frontend,
      action: 'allow',
      options: DEFAULT_OPTIONS,
      file: '/etc/qusb/rules.d/a.rules',
      line: 1,
      source: '',
    },
    frontend,
    options: { ...DEFAULT_OPTIONS, ...options },
    considered: [],
  }
}
