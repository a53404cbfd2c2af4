// Text tables: reading what people paste, writing what they may open in a spreadsheet.

/** Splits pasted text into rows of cells; tab, semicolon or comma, whichever the first line has. */
export function parseTable(text: string): string[][] {
  const source = text.replace(/^\uFEFF/, '')
  const separator = separatorOf(source)
  const rows: string[][] = []
  let row: string[] = []
  let cell = ''
  let quoted = false
  const endCell = () => {
    row.push(cell.trim())
    cell = ''
  }
  const endRow = () => {
    endCell()
    if (row.some((value) => value !== '')) rows.push(row)
    row = []
  }
  for (let i = 0; i < source.length; i++) {
    const c = source[i] as string
    if (quoted) {
      if (c === '"' && source[i + 1] === '"') {
        cell += '"'
        i++
      } else if (c === '"') quoted = false
      else cell += c
    } else if (c === '"' && cell.trim() === '') {
      cell = ''
      quoted = true
    } else if (c === separator) endCell()
    else if (c === '\n') endRow()
    else if (c !== '\r') cell += c
  }
  endRow()
  return rows
}

/** Rows as tab-separated text for the clipboard, safe to paste into a spreadsheet. */
export function toTsv(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => row.map(safeCell).join('\t')).join('\n')
}

/** A value that no spreadsheet takes for a formula; names on the network are chosen by strangers. */
export function safeCell(value: string): string {
  const oneLine = value.replace(/[\t\r\n]+/g, ' ')
  return /^\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/.test(oneLine) ? `'${oneLine}` : oneLine
}

function separatorOf(text: string): string {
  const firstLine = text.slice(0, text.search(/\n|$/))
  return ['\t', ';', ','].find((separator) => firstLine.includes(separator)) ?? ','
}
