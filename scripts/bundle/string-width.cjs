// Stands in for string-width: the table is drawn with the measure that its cells were cut by.
const { stripVTControlCharacters } = require('node:util')
const { displayWidth } = require('../../src/lib/view/display-width.ts')

module.exports = (text) => displayWidth(text.includes('\u001b') ? stripVTControlCharacters(text) : text)
