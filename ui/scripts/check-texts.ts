// Fails when the catalogue does not hold exactly the texts of the source.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const catalogue = 'src/locales/en/messages.po'
const committed = readFileSync(catalogue, 'utf8')
execFileSync('npx', ['lingui', 'extract', '--clean'], { stdio: ['ignore', 'ignore', 'inherit'] })
const extracted = readFileSync(catalogue, 'utf8')
writeFileSync(catalogue, committed)
if (withoutDate(committed) !== withoutDate(extracted)) {
  process.stderr.write(`${catalogue} does not match the source: run \`npm run texts\` and commit it.\n`)
  process.exit(1)
}

function withoutDate(po: string): string {
  return po.replace(/^"POT-Creation-Date:.*$/m, '')
}
