// Makes the code caches of a bundle: `node scripts/code-cache.cjs BUNDLE` writes BUNDLE.cache, and BUNDLE.actions.cache
// for the commands that change who has what (bin/qusb.cjs): to read what only those need would cost each list 3 %.
//
// V8 compiles a function when it is first called, so a cache is taken after a run of what most runs do: a listing, in
// JSON and drawn, of a backend that answers; then an attach and a detach. The qubes are this machine's own shell, on a tree
// each, one with a device; qubesd is a table of answers.
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const vm = require('node:vm')

const root = path.dirname(__dirname)
const file = path.resolve(process.argv[2])

function write(file, content, mode) {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, content, { mode })
}

/** A stick, as a qube's kernel shows it; without interfaces while usbip-host has it. */
function plug(root, directory, { busnum, devnum, driver }) {
  const at = path.join(root, directory)
  const name = path.basename(at)
  const facts = {
    idVendor: '0781',
    idProduct: '5567',
    serial: '4C530001',
    manufacturer: 'SanDisk',
    product: 'Cruzer Blade',
    busnum,
    devnum,
    speed: '480',
    bDeviceClass: '00',
    bConfigurationValue: '1',
  }
  if (driver === 'usb') {
    facts[`${name}:1.0/bInterfaceClass`] = '08'
    facts[`${name}:1.0/bInterfaceSubClass`] = '06'
    facts[`${name}:1.0/bInterfaceProtocol`] = '50'
  } else {
    facts.usbip_status = '2'
  }
  for (const [fact, value] of Object.entries(facts)) write(path.join(at, fact), `${value}\n`)
  fs.mkdirSync(path.join(root, 'sys/bus/usb/drivers', driver), { recursive: true })
  fs.symlinkSync(path.join(root, 'sys/bus/usb/drivers', driver), path.join(at, 'driver'))
  fs.mkdirSync(path.join(root, 'sys/bus/usb/devices'), { recursive: true })
  fs.symlinkSync(at, path.join(root, 'sys/bus/usb/devices', name))
}

/** The trees of both qubes while the frontend has the device, or while it has not. */
function makeWorld(directory, attached) {
  const backend = path.join(directory, 'sys-usb')
  const frontend = path.join(directory, 'work')
  const at = '/qubes-usb-devices/2-1'
  const published = [
    `${at}/desc = 0781:5567 SanDisk Cruzer\\x20Blade 4C530001`,
    `${at}/interfaces = :080650:`,
  ]
  const rows = ['hs  0000 004 000 00000000 000000 0-0', 'ss  0008 004 000 00000000 000000 0-0']
  write(path.join(backend, 'etc/qubes-rpc/qubes.USB'), '')
  for (const service of ['USBAttach', 'USBDetach'])
    write(path.join(frontend, `etc/qubes-rpc/qubes.${service}`), '')
  plug(backend, 'sys/devices/pci0000:00/0000:00:14.0/usb2/2-1', {
    busnum: '2',
    devnum: '5',
    driver: attached ? 'usbip-host' : 'usb',
  })
  if (attached) {
    published.push(`${at}/connected-to = work`)
    rows[0] = 'hs  0000 006 003 00020005 000003 1-1'
    plug(frontend, 'sys/devices/platform/vhci_hcd.0/usb1/1-1', { busnum: '1', devnum: '2', driver: 'usb' })
    write(path.join(frontend, 'var/run/qubes/usb-import-sys-usb-2-1.state'), '0\n')
  }
  const status = ['hub port sta spd dev sockfd local_busid', ...rows]
  write(path.join(frontend, 'sys/devices/platform/vhci_hcd.0/status'), `${status.join('\n')}\n`)
  write(path.join(backend, 'qubesdb'), `${published.join('\n')}\n`)
}

/** A site with a backend and a frontend, whose qrexec-client runs on this machine what it is asked to run in a qube. */
function makeSite(directory) {
  makeWorld(path.join(directory, 'free'), false)
  makeWorld(path.join(directory, 'attached'), true)
  const programs = {
    'bin/qubesdb-multiread': `echo "/name = \${QUSB_ROOT##*/}"; cat "$QUSB_ROOT/qubesdb"`,
    'qrexec-client': `
case $* in
*qubes.USBAttach*) : >'${directory}/moved' && exit ;;
*qubes.USBDetach*) rm '${directory}/moved' && exit ;;
esac
world=free
[ ! -e '${directory}/moved' ] || world=attached
while [ "$1" != -d ]; do shift; done
PATH='${directory}/bin':/usr/bin:/bin QUSB_ROOT='${directory}'/$world/$2 exec /bin/sh`,
  }
  for (const [name, text] of Object.entries(programs)) {
    write(path.join(directory, name), `#!/bin/sh\n${text}\n`, 0o755)
  }
  for (const qube of ['sys-usb', 'work']) write(path.join(directory, `run/qrexec.${qube}`), '')
  write(path.join(directory, 'state/state.json'), '{"schema": 1, "bootId": "none", "attachments": []}\n')
  for (const name of ['state', 'config', 'runtime', 'policy'])
    fs.mkdirSync(path.join(directory, name), { recursive: true })
  const site = {
    qrexecClient: path.join(directory, 'qrexec-client'),
    qubesRunDir: path.join(directory, 'run'),
    policyDir: path.join(directory, 'policy'),
    policyReadDirs: [path.join(directory, 'policy')],
    oldPolicyDir: path.join(directory, 'policy'),
    stateDir: path.join(directory, 'state'),
    configDir: path.join(directory, 'config'),
    runDir: path.join(directory, 'runtime'),
    qubesdSocket: path.join(directory, 'qubesd.sock'),
  }
  write(path.join(directory, 'site.json'), JSON.stringify(site), 0o600)
  return path.join(directory, 'site.json')
}

const ANSWERS = {
  'admin.vm.List': 'sys-usb class=AppVM state=Running\nwork class=AppVM state=Running\n',
  'admin.vm.device.pci.Available':
    "00_14.0:0x8086:0xa0ed::p0c0330 device_id='0x8086:0xa0ed::p0c0330' port_id='00_14.0' devclass='pci' backend_domain='dom0' product='Host Controller' interfaces='p0c0330'\n",
  'admin.vm.device.pci.Attached':
    "dom0+00_14.0:0x8086:0xa0ed::p0c0330 device_id='0x8086:0xa0ed::p0c0330' port_id='00_14.0' devclass='pci' backend_domain='dom0' mode='required' frontend_domain='sys-usb'\n",
  'admin.vm.device.usb.Available':
    "2-1:0781:5567:4C530001:u080650 port_id='2-1' interfaces='u080650' serial='4C530001' device_id='0781:5567:4C530001:u080650' product='Cruzer Blade' manufacturer='SanDisk' backend_domain='sys-usb' devclass='usb'\n",
}

/**
 * A qubesd, in the form of its answers (qubes-core-admin: a request is METHOD+ARG, an answer 0, NUL and the data).
 * @param asked receives what it was asked
 */
function startQubesd(directory, asked) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let request = ''
    socket.on('data', (text) => {
      request += text
    })
    socket.on('end', () => {
      const [, method, dest] = /^([^+]*)\+ dom0 name ([^\0]*)\0/.exec(request) ?? []
      asked.add(method)
      // work has nothing to give.
      socket.end(`0\0${dest === 'work' ? '' : (ANSWERS[method] ?? '')}`)
    })
  })
  return new Promise((resolve) => server.listen(path.join(directory, 'qubesd.sock'), () => resolve(server)))
}

async function warmUp(directory) {
  // Compiled as bin/qusb.cjs compiles it: V8 takes the cache for exactly that text.
  const script = new vm.Script(fs.readFileSync(file, 'latin1'), {
    filename: file,
  })
  const module = { exports: {} }
  script.runInThisContext()(module.exports, require, module, file, path.dirname(file))

  process.env.QUSB_SITE = makeSite(directory)
  const asked = new Set()
  const qubesd = await startQubesd(directory, asked)
  let printed = ''
  process.stdout.write = (text) => {
    printed += text
    return true
  }
  // What was not run is not in the cache: a run that ended early must not pass for one.
  const run = async (expected, isTTY, ...args) => {
    process.stdout.isTTY = isTTY
    printed = ''
    await module.exports.main(args, root)
    if (process.exitCode || !printed.includes(expected)) {
      throw new Error(`qusb ${args.join(' ')} ended with ${process.exitCode}, and printed ${printed}`)
    }
  }
  const save = (name) => {
    const temporary = `${name}.${process.pid}`
    fs.writeFileSync(temporary, script.createCachedData())
    fs.renameSync(temporary, name)
  }
  await run('qusb/', false, '--version')
  await run('Cruzer Blade', true, 'list')
  await run('Cruzer Blade', false, 'list')
  await run('Cruzer Blade', false, 'list', '--json')
  for (const method of Object.keys(ANSWERS)) if (!asked.has(method)) throw new Error(`nobody asked ${method}`)
  save(`${file}.cache`)
  await run('Attached', false, 'attach', 'sys-usb', '2-1', 'work')
  await run('Detached', false, 'detach', 'sys-usb', '2-1')
  save(`${file}.actions.cache`)
  qubesd.close()
}

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'qusb-build-'))
// However it ends, also by an error that nobody waited for.
process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }))
warmUp(directory)
  .catch((error) => {
    process.stderr.write(`${error.stack}\n`)
    process.exitCode = 1
  })
  // A qubesd that still listens would keep a failed build waiting.
  .finally(() => process.exit())
