// Stands in for the colours of cli-table3's head and borders, which qusb does not use: it paints its own cells.
module.exports = {}
