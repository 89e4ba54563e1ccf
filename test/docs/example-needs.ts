/** What an example takes for granted, and how one sees that it did what it says. */
export interface Need {
  /** What it prints, on whichever stream. */
  says: RegExp
  /** A line for the shell that brings about what the example takes for granted. */
  before?: string
  shell?: 'bash' | 'zsh' | 'fish'
  /** A line for the shell after it, whose answer is looked at instead. */
  after?: string
  input?: string
  /** It asks: the question, and the keys that answer it. */
  asks?: [question: string, keys: string]
  /** It goes on until it is interrupted. */
  endless?: true
}

const ATTACH = 'qusb attach sys-usb 2-1 work'
const RED_KEY = 'qusb alias add red-key sys-usb 1-2'
/** The lab of examples about labs, which they share: one takes a second. */
const LAB = '{ qusb lab status || qusb lab up; }'
const IN_LAB = 'QUSB_SITE=~/labs/lab/site.json'
const RULE = 'qusb rule add 1050:0407 vault'

/** Of every example, in the words of the help. */
export const NEEDS: Readonly<Record<string, Need>> = {
  'qusb alias add red-key sys-usb 2-1': { says: /^"red-key" means Kingston/ },
  'qusb alias add board 2e8a:0003 --also': {
    before: 'qusb alias add board sys-usb 1-2',
    says: /^"board" means .*2e8a:0003/s,
  },
  'qusb attach red-key vault': { before: RED_KEY, says: /^Attached sys-usb:1-2 .* to vault/ },
  'qusb alias list': { before: RED_KEY, says: /^red-key\t1050:0407\t0012345/ },
  'qusb alias remove red-key': { before: RED_KEY, says: /^"red-key" means no device any more/ },

  'qusb attach sys-usb 2-1 work': { says: /^Attached sys-usb:2-1 .* to work/ },
  'qusb attach sys-usb 1050:0407@0012345 vault': { says: /^Attached sys-usb:1-2 .* to vault/ },
  'qusb attach sys-usb:2-1 work': { says: /^Attached sys-usb:2-1 .* to work/ },
  'qusb attach red-key vault --wait': { before: RED_KEY, says: /^Attached sys-usb:1-2 .* to vault/ },
  'qusb attach sys-usb 2-1 work --dry-run': { says: /Nothing was done/ },
  'qusb detach': {
    before: ATTACH,
    asks: ['Which are to be detached?', '\r'],
    says: /Detached sys-usb:2-1 .* from work/,
  },
  'qusb detach sys-usb 2-1': { before: ATTACH, says: /^Detached sys-usb:2-1 .* from work/ },
  'qusb detach sys-usb 2-1 work': { before: ATTACH, says: /^Detached sys-usb:2-1 .* from work/ },
  'qusb detach --from work': { before: ATTACH, says: /^Detached sys-usb:2-1 .* from work/ },
  'qusb move sys-usb 2-1 vault': { before: ATTACH, says: /^Moved sys-usb:2-1 .* from work to vault/ },
  'qusb move red-key work': {
    before: `${RED_KEY} && qusb attach red-key vault`,
    says: /^Moved sys-usb:1-2 .* from vault to work/,
  },
  "qusb run backup-stick vault -- qvm-run -p vault 'backup.sh /dev/sda'": {
    before: 'qusb alias add backup-stick sys-usb 2-1',
    says: /qvm-run -p vault backup\.sh \/dev\/sda$/m,
  },
  "qusb run sys-usb 2-1 work -- sh -c 'read line'": {
    input: '\n',
    after: 'qusb history --limit 1',
    says: /\tdetached\tsys-usb\t2-1\t.*\twork\t/,
  },

  'qusb list': { before: ATTACH, says: /^sys-usb\t2-1\t0951:1666\t.*\twork$/m },
  'qusb list sys-usb': { says: /^sys-usb\t1-2\t1050:0407\t0012345/m },
  'qusb list --tree': { says: /^sys-usb\n.*2-1/s },
  'qusb list --json': { says: /^{"schema":1,"devices":\[{"backend":"sys-usb"/ },
  'qusb info sys-usb 2-1': { says: /0951:1666/ },
  'qusb info 1050:0407': { says: /0012345/ },
  'qusb history': { before: ATTACH, says: /\tattached\tsys-usb\t2-1\t.*\twork\t/ },
  'qusb history --limit 5 --json': { says: /^{"schema":1,"events":\[/ },
  'qusb doctor': { says: /^virtual USB ports +ok/m },
  'qusb doctor sys-usb work': { says: /^USB proxy +ok/m },
  'qusb doctor --fix': { says: /^stale state files +ok/m },
  'qusb schema': { says: /^list +what /m },
  'qusb schema list': { says: /"title": ?"qusb list"/ },

  'qusb watch': { endless: true, says: /watching/ },
  'qusb watch sys-usb --json': { endless: true, says: /"event":"watching"/ },
  'qusb watch --auto': { before: RULE, endless: true, says: /by rule +sys-usb:1-2 .* to vault/ },
  'qusb watch --auto --confirm-input=15s': {
    before: 'qusb rule add sys-usb 1-3 work',
    endless: true,
    says: /took back sys-usb:1-3 .* from work/,
  },
  'qusb watch --exec ~/bin/on-usb': { endless: true, says: /^told of watching$/m },

  'qusb explain sys-usb 2-1': { before: RULE, says: /no rule is about it/ },
  'qusb explain 1050:0407@0012345': { before: RULE, says: /50-qusb\.rules:3/ },
  'qusb rule add sys-usb 2-1 vault': { says: /0951:1666@\S+ +sys-usb +vault +allow/ },
  'qusb rule add class:storage untrusted --action ask': { says: /class:storage +\* +untrusted +ask/ },
  'qusb rule add class:input --action deny --first': { before: RULE, says: /class:input +\* +@none +deny/ },
  'qusb rule add sys-usb 2-1 work --port': { says: /2-1 +sys-usb +work +allow/ },
  'qusb rule check': { before: RULE, says: /1 rule/ },
  'qusb rule export --to qubes': { before: RULE, says: /^qvm-usb assign vault 'sys-usb:\*:1050:0407/m },
  'qusb rule import --from qvd --to work client.conf': { says: /1050:0407@0012345 +\* +work +allow/ },
  'qusb rule import --from qubes --dry-run': { says: /0951:1666/ },
  "qvm-run -p -u root sys-usb 'cat /etc/usbguard/rules.conf' | qusb rule import --from usbguard --to untrusted --action ask":
    { says: /0951:1666@4711 +\* +untrusted +ask/ },
  'qusb rule list': { before: RULE, says: /^aa189e69\t1050:0407\t/ },
  'qusb rule list --json': { before: RULE, says: /^{"schema":1,"rules":\[{/ },
  'qusb rule remove aa189e69': { before: RULE, says: /^Removed .*1050:0407 +\* +vault +allow/s },
  'qusb rule suggest': { before: ATTACH, says: /^0951:1666@\S+ +sys-usb +work +allow/m },
  'qusb rule test sys-usb 2-1': { before: RULE, says: /no rule/ },
  'qusb rule test 1050:0407@0012345': { before: RULE, says: /vault/ },

  'source <(qusb completion bash)': { after: 'complete -p qusb', says: /^complete .*qusb$/m },
  'source <(qusb completion zsh)': {
    before: 'autoload -U compinit && compinit -D',
    shell: 'zsh',
    after: 'print $_comps[qusb]',
    says: /^_qusb$/m,
  },
  'qusb completion fish | source': {
    shell: 'fish',
    after: "complete --do-complete 'qusb att'",
    says: /^attach\b/m,
  },

  'qusb setup dom0 --dry-run': { says: /would make/ },
  'sudo qusb setup dom0': { says: /^made .*tmpfiles\.d\/qusb\.conf/m },
  'qusb setup backend sys-usb --dry-run': { says: /would make sys-usb:\/rw\/config\/qusb/ },
  'sudo qusb setup backend sys-usb': { says: /^made +sys-usb:\/rw\/config\/qusb/ },
  'sudo qusb setup remove sys-usb': {
    before: 'qusb setup backend sys-usb',
    says: /^removed +sys-usb:\/rw\/config\/qusb/,
  },
  'sudo qusb setup backend sys-usb --in fedora-42-minimal': { says: /^made +fedora-42-minimal:\/etc/ },
  'sudo qusb setup remove': { before: 'qusb setup backend sys-usb', says: /^removed .*qusb\.Plugged/m },

  'qusb lab up': { says: /^export QUSB_SITE=\S+$/m },
  'eval "$(qusb lab up | grep ^export)"; qusb list': { says: /^sys-usb\t1-5\t08f7:/m },
  'qusb lab status': { before: LAB, says: /^ +sys-usb +running/m },
  'qusb lab status --json': { before: LAB, says: /"qubes":\[/ },
  'qusb lab plug sys-usb stick --port 2-3 --serial 4711': {
    before: LAB,
    after: 'qusb lab status',
    says: /sys-usb:2-3 .* 4711$/m,
  },
  'qusb lab exec work -- lab-read sda 0 1 | sha256sum': {
    before: `${LAB} && ${IN_LAB} ${ATTACH}`,
    says: /^[0-9a-f]{64} {2}-$/,
  },
  'qusb lab exec work -- lab-temperature': {
    before: `${LAB} && ${IN_LAB} qusb attach sys-usb 1-5 work`,
    says: /^21\.[45]/,
  },
  'qusb lab fault link-stalled sys-usb': {
    before: LAB,
    after: 'qusb lab status',
    says: /fault +link-stalled +sys-usb$/m,
  },
  'qusb lab fault link-stalled sys-usb --off': {
    before: `${LAB} && qusb lab fault link-stalled sys-usb`,
    says: /^link-stalled sys-usb off$/m,
  },
  'qusb lab fault slow-attach sys-usb --value 3': {
    before: LAB,
    after: 'qusb lab status',
    says: /fault +slow-attach +sys-usb +3$/m,
  },
  'qusb lab unplug sys-usb 2-1': {
    before: LAB,
    after: '! qusb lab status | grep sys-usb:2-1',
    says: /^2-1 is unplugged/m,
  },
  'qusb lab down': { before: LAB, after: '! qusb lab status', says: /No lab called lab is up/ },
}
