import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** What scriptlets and the making of the code cache run, by where it shall be. */
const PROGRAMS =
  'sh cat grep sed rm ls readlink timeout mkdir dirname basename tr head od stat flock sleep'.split(' ')

/** Debian's rpm always says that its own packages are another's. */
const DEBIAN = /^rpm: (RPM should not be used directly|However assuming you know).*\n/gm

/** What stands for dom0's Node, which `.ci/run` fetches; else the one that runs the tests. */
export const DOM0_NODE = process.env.QUSB_DOM0_NODE ?? process.execPath

/** A directory that stands for the root of a dom0: packages are installed in it, and their scriptlets run there. */
export interface ScratchRoot {
  dir: string
  /** Runs rpm on it; the result whatever its exit code. */
  rpm(...args: string[]): { code: number | null; said: string }
  /** All that is in it but rpm's own database, sorted. */
  files(): string[]
  end(): void
}

/**
 * Makes a scratch root with a shell, Node, and the group qubes. Without root it is changed in a user namespace, where
 * only one user and one group exist: there qubes is root's group.
 */
export function makeScratchRoot(): ScratchRoot {
  const dir = mkdtempSync(join(tmpdir(), 'qusb-root-'))
  const isRoot = process.getuid?.() === 0
  for (const name of ['etc', 'usr/bin', 'dev', 'tmp', 'run', 'var/lib/rpm', 'proc']) {
    mkdirSync(join(dir, name), { recursive: true })
  }
  chmodSync(join(dir, 'tmp'), 0o1777)
  writeFileSync(join(dir, 'dev/null'), '')
  writeFileSync(join(dir, 'dev/urandom'), randomBytes(64 * 1024))
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n')
  writeFileSync(join(dir, 'etc/group'), `root:x:0:\nqubes:x:${isRoot ? 4242 : 0}:\n`)
  putProgram(dir, DOM0_NODE, '/usr/bin/node')
  for (const name of PROGRAMS) {
    const found = spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', name], {
      encoding: 'utf8',
    }).stdout.trim()
    putProgram(dir, found, `/usr/bin/${name}`)
    if (name === 'sh') putProgram(dir, found, '/bin/sh')
  }
  return {
    dir,
    rpm: (...args) => {
      const [command, ...rest] = [
        ...(isRoot ? [] : ['unshare', '--map-root-user']),
        'rpm',
        '--root',
        dir,
        '--dbpath',
        '/var/lib/rpm',
      ]
      const run = spawnSync(command ?? 'rpm', [...rest, ...args], {
        encoding: 'utf8',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/', LC_ALL: 'C' },
      })
      const said = run.error?.message ?? `${run.stdout}${run.stderr}`
      return { code: run.status, said: said.replace(DEBIAN, '') }
    },
    files: () =>
      readdirSync(dir, { recursive: true, encoding: 'utf8' })
        .filter((name) => !name.startsWith('var/lib/rpm/'))
        .sort(),
    end: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** Puts a program, and the libraries that it needs, into the root. */
function putProgram(root: string, program: string, path: string): void {
  putFile(realpathSync(program), join(root, path))
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' })
  for (const [, library] of stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) {
    if (library !== undefined) putFile(realpathSync(library), join(root, library))
  }
}

function putFile(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  try {
    linkSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    copyFileSync(from, to)
  }
}

/**
 * Makes the package of a Node, as far as others need it; its files are in the root already.
 * @returns the RPM
 */
export function makeNodePackage(work: string, version: string): string {
  const spec = join(work, `nodejs-${version}.spec`)
  writeFileSync(
    spec,
    `Name: nodejs
Version: ${version}
Release: 1
Summary: stands for the real one
License: MIT
BuildArch: noarch
AutoReqProv: no
Provides: nodejs(engine) = ${version}
# The shell of the scratch root is nobody's.
Provides: /bin/sh
%description
Stands for the real one.
%install
mkdir -p %{buildroot}/usr/bin
touch %{buildroot}/usr/bin/node %{buildroot}/usr/bin/flock
# A file trigger does not see a ghost.
echo ${version} > %{buildroot}/usr/bin/node-${version}
%files
/usr/bin/node-${version}
%ghost /usr/bin/node
%ghost /usr/bin/flock
`,
  )
  const defines = [`_topdir ${work}`, `_rpmdir ${work}`, '_rpmfilename %%{NAME}-%%{VERSION}.rpm']
  const { status, stderr } = spawnSync(
    'rpmbuild',
    ['-bb', '--nodeps', '--target', 'noarch', ...defines.flatMap((define) => ['--define', define]), spec],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(stderr)
  return join(work, `nodejs-${version}.rpm`)
}
