// Runs beside the window, never in it. `muster` is all there is: no network, no storage, no other page.
async function show() {
  const appliances = await muster.appliances()
  muster.draw(muster.html`
    <h2>${muster.text('My appliance')}</h2>
    <p>${appliances.length} ${muster.text('chosen')}</p>
    <button data-on="usual">${muster.text('Propose the usual port')}</button>
  `)
}

muster.on('usual', async () => {
  // Only a proposal: the administrator sees it beside the form, and takes it over or not.
  for (const { uid } of await muster.appliances()) {
    await muster.propose(uid, { port: 443, encrypt: true })
  }
  muster.say(muster.text('The usual port was proposed.'))
})

muster.onChange(show)
show()
