// oclif requires its help, its plug-ins, its templates and its themes at every start, and a run uses few of them. Its
// files are what tsc makes of modules: each name that is bound to a require is only ever read by a property. So a name
// can stand for a call that requires when it is first read.

const REQUIRE = /^(?:const|var) (\w+_\d+) = (__importDefault\()?(require\("[^"]+"\))\)?;$/gm

/**
 * Defers the requires of a file of tsc's CommonJS output.
 * @param {string} source
 * @returns {string} with each `const x_1 = require("x")` done when `x_1` is first used
 */
export function deferRequires(source) {
  const names = []
  const deferred = source.replace(REQUIRE, (_, name, wrapped, call) => {
    names.push(name)
    // A require is a look into the bundle's table: only the wrapper, which makes an object, is kept.
    return wrapped === undefined
      ? `const ${name} = () => ${call};`
      : `let made_${name}; const ${name} = () => (made_${name} ??= __importDefault(${call}));`
  })
  if (names.length === 0) return source
  const uses = new RegExp(`(?<![\\w.])(${names.join('|')})\\b(?! = \\(\\) =>)`, 'g')
  // In brackets, for `new x_1.Thing()`.
  return deferred.replace(uses, '($1())')
}
