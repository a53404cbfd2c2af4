/** Typed text inside a message: short, and without characters that could disturb it. */
export function shown(text: string): string {
  const clean = [...text.trim()].map((c) => (/\p{C}/u.test(c) ? '�' : c))
  return clean.length > 40 ? `${clean.slice(0, 40).join('')}…` : clean.join('')
}
