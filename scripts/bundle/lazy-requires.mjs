// oclif requires its help, its plug-ins, its templates and its themes at every start, and a run uses few of them; execa
// and our own files import modules of Node's that few runs use. In what tsc makes of modules, and in what esbuild does, a
// name that is bound to a module is only ever read: so it can stand for a call that requires when it is first read.

const REQUIRE = /^(?:const|var) (\w+_\d+) = (__importDefault\()?(require\("[^"]+"\))\)?;$/gm

/**
 * Defers the requires of a file of tsc's CommonJS output.
 * @param {string} source
 * @returns {string} with each `const x_1 = require("x")` done when `x_1` is first used
 */
export function deferRequires(source) {
  // A require is a look into the bundle's table: only the wrapper, which makes an object, is kept.
  return defer(source, REQUIRE, (name, wrapped, call) =>
    wrapped === undefined
      ? `const ${name} = () => ${call};`
      : `let made_${name}; const ${name} = () => (made_${name} ??= __importDefault(${call}));`,
  )
}

/** Modules that Node compiles anew each time they are loaded, which takes half a millisecond, and twice a quarter. */
const LATE = /(\w+) = ((?:\{ default: )?require\("node:(?:os|tty|timers\/promises|v8)"\)(?: \})?);/g

/**
 * Loads such a module when it is first used, not when a file that imports it is.
 * @param {string} bundle esbuild's output
 * @throws Error when one is used otherwise than expected
 */
export function deferBuiltins(bundle) {
  return defer(bundle, LATE, (name, module) => `${name} = () => (${module});`)
}

/** @param {(name: string, ...groups: string[]) => string} bind makes the call that the name stands for */
function defer(source, binding, bind) {
  const names = []
  const bound = source.replace(binding, (_, name, ...groups) => {
    names.push(name)
    return bind(name, ...groups)
  })
  if (names.length === 0) return source
  // What follows the name tells where it is read, and where it is declared and bound.
  const uses = new RegExp(`(?<![\\w.])(${names.join('|')})\\b(?=(.?))`, 'g')
  return bound.replace(uses, (_, name, next) => {
    // In brackets, for `new x_1.Thing()`.
    if (next === '.' || next === ')') return `(${name}())`
    if (next === ',' || next === ';' || next === ' ') return name
    throw new Error(`${name} is not used as scripts/bundle expects`)
  })
}
