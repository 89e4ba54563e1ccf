// Makes the code cache of a bundle: `node scripts/code-cache.cjs BUNDLE` writes BUNDLE.cache.
//
// V8 compiles a function when it is first called, so the cache is taken after a run of what most runs do: a listing, in
// JSON and drawn, of a backend that answers. The backend is this machine's own shell, on a tree with one device; qubesd
// is a table of answers.
const fs = require('node:fs')
const Module = require('node:module')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const vm = require('node:vm')

const root = path.dirname(__dirname)
const file = path.resolve(process.argv[2])

/** A site with one backend, whose qrexec-client runs on this machine what it is asked to run in the qube. */
function makeSite(directory) {
  const write = (name, content, mode) => {
    const at = path.join(directory, name)
    fs.mkdirSync(path.dirname(at), { recursive: true })
    fs.writeFileSync(at, content, { mode })
  }
  const device = 'sys/devices/pci0000:00/0000:00:14.0/usb2/2-1'
  const facts = {
    idVendor: '0781',
    idProduct: '5567',
    serial: '4C530001',
    manufacturer: 'SanDisk',
    product: 'Cruzer Blade',
    busnum: '2',
    devnum: '5',
    speed: '480',
    bDeviceClass: '00',
    bConfigurationValue: '1',
    '2-1:1.0/bInterfaceClass': '08',
    '2-1:1.0/bInterfaceSubClass': '06',
    '2-1:1.0/bInterfaceProtocol': '50',
  }
  for (const [name, value] of Object.entries(facts)) write(`root/${device}/${name}`, `${value}\n`)
  fs.mkdirSync(path.join(directory, 'root/sys/bus/usb/devices'), { recursive: true })
  fs.symlinkSync(`../../../../${device}`, path.join(directory, 'root/sys/bus/usb/devices/2-1'))
  const published = '/qubes-usb-devices/2-1/desc = 0781:5567 SanDisk Cruzer\\\\x20Blade 4C530001'
  write('bin/qubesdb-multiread', `#!/bin/sh\nprintf '%b\\n' '${published}'\n`, 0o755)
  write('bin/qubesdb-read', '#!/bin/sh\necho sys-usb\n', 0o755)
  write(
    'qrexec-client',
    `#!/bin/sh\nPATH='${directory}/bin':/usr/bin:/bin QUSB_ROOT='${directory}/root' exec /bin/sh\n`,
    0o755,
  )
  write('run/qrexec.sys-usb', '')
  write('state/state.json', '{"schema": 1, "bootId": "none", "attachments": []}\n')
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
  write('site.json', JSON.stringify(site), 0o600)
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
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  const module = new Module(file, require.main)
  module.filename = file
  module.paths = Module._nodeModulePaths(path.dirname(file))
  require.cache[file] = module
  script.runInThisContext()(module.exports, Module.createRequire(file), module, file, path.dirname(file))
  module.loaded = true

  process.env.QUSB_SITE = makeSite(directory)
  const asked = new Set()
  const qubesd = await startQubesd(directory, asked)
  let printed = ''
  process.stdout.write = (text) => {
    printed += text
    return true
  }
  for (const [isTTY, ...args] of [
    [false, '--version'],
    [true, 'list'],
    [false, 'list'],
    [false, 'list', '--json'],
  ]) {
    process.stdout.isTTY = isTTY
    printed = ''
    await module.exports.main(args, root, path.relative(root, file))
    // What was not run is not in the cache: a run that ended early must not pass for one.
    const expected = args[0] === 'list' ? 'Cruzer Blade' : 'qusb/'
    if (process.exitCode || !printed.includes(expected)) {
      throw new Error(`qusb ${args.join(' ')} ended with ${process.exitCode}, and printed ${printed}`)
    }
  }
  qubesd.close()
  for (const method of Object.keys(ANSWERS)) if (!asked.has(method)) throw new Error(`nobody asked ${method}`)
  const temporary = `${file}.cache.${process.pid}`
  fs.writeFileSync(temporary, script.createCachedData())
  fs.renameSync(temporary, `${file}.cache`)
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
