/** What the fields of config.json mean. */
export const CONFIG_WORDS: Readonly<Record<string, string>> = {
  backends:
    'The names of the qubes that have USB controllers, a list. Without it they are the running ones among sys-usb, sys-usb-..., sys-net, and those of which qubesd says so.',
  timeout: 'How long an attach or detach may take, in seconds; --timeout of a command is for that command.',
  'history.enabled': 'Whether a history is kept.',
  'history.events':
    'How many events a file of the history holds before it is rotated. Two files are kept: the current one and the one before.',
  'history.disposables': 'Whether events that name a disposable reach the disk.',
}

/** What the fields of a site file mean. */
export const SITE_WORDS: Readonly<Record<string, string>> = {
  qrexecClient: 'The program that calls services of qubes.',
  qrexecClientVm: 'The program that calls services from a management qube.',
  qubeName: 'The name of this qube, where that is not its host name.',
  qubesRunDir: 'Where the sockets qrexec.NAME of running qubes are.',
  policyDir: 'The directory of policy that receives grants.',
  policyReadDirs:
    'All directories whose policy counts, a list; a file in one shadows its like in those after it.',
  oldPolicyDir: 'Where qubesd puts its own grants; one that is left over is told.',
  policyExec: 'The program that says what policy would decide, without a call. It may be missing.',
  stateDir: 'Where the state file and the history are.',
  configDir: 'Where the configuration, the aliases and the directory of rules are.',
  runDir: 'Locks and sockets, gone after a reboot.',
  qubesdSocket: "qubesd's socket of the Admin API. It may be missing.",
  usbIds: 'The names of vendors and products. It may be missing.',
  tmpfilesDir: 'Where setup says that runDir is to be made at every boot.',
  rpcDir: 'The services of dom0, to which setup adds qusb.Plugged.',
  keptPolicyDir: 'Policy that stays over a reboot, to which setup adds who may call that service.',
  unitDir: 'The units of systemd, to which setup adds the watcher.',
  setupDir: 'Where setup notes what it has installed, and where: root alone writes it.',
  flock: 'The program that takes locks.',
  zenity: 'Asks on the desktop. It may be missing.',
  kdialog: 'Asks on the desktop. It may be missing.',
  notifySend: 'Tells on the desktop. It may be missing.',
  sh: 'The shell of the process that removes a grant should qusb be killed.',
  bootIdFile: 'What is another with every boot of dom0.',
  uptimeFile: 'How long dom0 has been up.',
  'limits.surveyBytes': 'The most that a qube may answer to a survey, in bytes.',
  'limits.surveyMs': 'How long a survey of one qube may take, in milliseconds.',
  'limits.connectSeconds': 'How long qrexec may take to connect, in seconds.',
}

/** What the fields of a device in aliases.json mean. */
export const ALIAS_WORDS: Readonly<Record<string, string>> = {
  vendorId: 'Four lower-case hex digits.',
  productId: 'Four lower-case hex digits.',
  serial: 'Its serial. A device without one has a pin.',
  'pin.backend': 'The backend that the pinned socket is in.',
  'pin.controller': "The PCI address of the socket's controller as the backend sees it.",
  'pin.bus': 'Which of the two buses of the controller.',
  'pin.path':
    'The ports from there down, such as 1.4. The number of the bus is left out: a boot may give another.',
  description: 'What it said it was when it was named, for people.',
}

/** What the fields of a record in state.json mean. */
export const RECORD_WORDS: Readonly<Record<string, string>> = {
  id: 'Its own name, 16 hex digits.',
  backend: 'The qube with the USB controller.',
  port: 'Where the device is plugged there.',
  frontend: 'The qube that has it, or was to have it.',
  stubdom: "Whether the call went to the frontend's stub domain.",
  'device.vendorId': 'Four lower-case hex digits.',
  'device.productId': 'Four lower-case hex digits.',
  'device.serial': 'Its serial; one that needed cleaning counts as none.',
  'device.interfaces': 'Class, subclass and protocol of each interface, six hex digits each.',
  'device.busnum': 'The number of its bus.',
  'device.devnum': 'Its number there: another number is another plugging-in.',
  'device.description': 'Maker and product by their own word, cleaned.',
  phase:
    'How far it is: attaching and detaching are open while somebody is at work, attached is done, unresolved could not be brought to an end, leftover is free and the frontend may keep a stale state file.',
  goal: 'What an open operation was to bring about.',
  since: 'When, by this machine; nothing is decided by it.',
  'by.user': 'Who asked, by login name.',
  'by.pid': 'The process that did it.',
  'by.rule': 'The rule that asked, with its file and line.',
  grant: 'The name of the grant while there is one.',
  bootId: 'The boot of dom0: no attachment outlives one.',
  slept: 'How many seconds this machine had slept since then.',
  backendDomain: 'The domain id of the backend: another one is a qube that was started again.',
  frontendDomain: 'The same of the frontend.',
}

/** What the fields of a line of the history mean. */
export const EVENT_WORDS: Readonly<Record<string, string>> = {
  at: 'When, in UTC.',
  what: 'What happened.',
  backend: 'The qube with the USB controller.',
  port: 'Where the device was plugged there.',
  frontend: 'The qube that had it, or was to have it.',
  vendorId: 'Four lower-case hex digits.',
  productId: 'Four lower-case hex digits.',
  serial: 'Its serial.',
  description: 'Maker and product by their own word, cleaned.',
  user: 'Who asked: nobody, where another tool did it.',
  rule: 'The rule that asked.',
  how: 'For ended why, as in qusb(7); for failed the code of the error.',
}
