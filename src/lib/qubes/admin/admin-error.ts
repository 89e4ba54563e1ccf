import { type ErrorCode, QusbError } from '../../errors.ts'

/**
 * Why a call of the Admin API came to nothing. `type` is the exception's name; the others have none: `empty` (refused,
 * or not known to this generation of qubesd), `policy` (refused before it came to qubesd), `malformed`, `timeout`, `unreachable`.
 */
export class AdminError extends QusbError {
  readonly type: string

  constructor(
    type: string,
    message: string,
    options: { code?: ErrorCode; detail?: string; hint?: string; cause?: unknown },
  ) {
    const { code = codeOf(type), ...rest } = options
    super(code, message, rest)
    this.type = type
  }
}

/** The exceptions of core-admin (qubes/exc.py) whose meaning has a code of ours. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  QubesVMNotFoundError: 'NOT_FOUND',
  QubesVMInvalidUUIDError: 'USAGE',
  QubesVMNotStartedError: 'NOT_RUNNING',
  QubesVMNotRunningError: 'NOT_RUNNING',
  QubesVMNotPausedError: 'NOT_RUNNING',
  QubesVMShutdownTimeoutError: 'TIMEOUT',
  QubesVMInUseError: 'CONFLICT',
  QubesMemoryError: 'NOT_RUNNING',
  QubesNoTemplateError: 'NOT_RUNNING',
  DeviceNotFound: 'NOT_FOUND',
  DeviceNotAssigned: 'NOT_FOUND',
  DeviceAlreadyAttached: 'CONFLICT',
  DeviceAlreadyAssigned: 'CONFLICT',
  UnrecognizedDevice: 'CONFLICT',
  UnexpectedDeviceProperty: 'CONFLICT',
  QubesUSBException: 'ATTACH_FAILED',
  USBProxyNotInstalled: 'NO_PROXY',
  PermissionDenied: 'REFUSED',
  ProtocolError: 'INTERNAL',
  empty: 'REFUSED',
  policy: 'REFUSED',
  // As a qube that answers nonsense: it is not there to be used, and INTERNAL would call it a fault of qusb.
  malformed: 'NOT_RUNNING',
  timeout: 'TIMEOUT',
  unreachable: 'NOT_RUNNING',
}

function codeOf(type: string): ErrorCode {
  return Object.hasOwn(CODES, type) ? (CODES[type] ?? 'ATTACH_FAILED') : 'ATTACH_FAILED'
}
