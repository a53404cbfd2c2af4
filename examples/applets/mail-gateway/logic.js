/// <reference path="../../../ui/src/applets/host/muster-applet.d.ts" />
// Mails a day of the chosen gateways, from the counters of their last beats: mails_day_1 is yesterday, mails_day_7 a week ago;
// quarantined_day_N are those of them that were held back.

const DAYS = [7, 6, 5, 4, 3, 2, 1]
const WIDTH = 364
const HEIGHT = 120
const t = muster.text
const number = new Intl.NumberFormat(muster.language)

async function show() {
  const appliances = await muster.appliances()
  const gateways = await Promise.all(appliances.slice(0, 8).map((one) => muster.parameters(one.uid)))
  if (gateways.length === 0) {
    muster.draw(muster.html`<p class="quiet">${t('No gateway is chosen yet.')}</p>`)
    return
  }
  muster.draw(muster.html`
    <h2>${t('Mails per day')}</h2>
    ${gateways.map(gateway)}
    <div class="row">
      <button data-on="usual" id="usual">${t('Propose the usual limits')}</button>
    </div>
    ${appliances.length > 8 ? muster.html`<p class="quiet">${t('Only the first eight are shown.')}</p>` : ''}
  `)
}

function gateway(one) {
  const days = DAYS.map((day) => ({
    day,
    mails: one.counters[`mails_day_${day}`] ?? 0,
    held: one.counters[`quarantined_day_${day}`] ?? 0,
  }))
  const name = one.host_name || one.mac
  if (days.every(({ mails }) => mails === 0))
    return muster.html`<div class="row"><span class="name">${name}</span>
      <span class="quiet">${t('It has not counted any mail yet.')}</span></div>`
  const queue = one.counters.mails_queued ?? 0
  return muster.html`
    <div class="row"><span class="name">${name}</span>
      ${queue > 500 ? muster.html`<span class="warn">${t('Mails waiting')}: ${number.format(queue)}</span>` : ''}</div>
    ${chart(name, days)}`
}

function chart(name, days) {
  const most = Math.max(1, ...days.map(({ mails }) => mails))
  const step = WIDTH / days.length
  const height = (mails) => Math.round((mails / most) * (HEIGHT - 38))
  const bars = days.map(({ day, mails, held }, i) => {
    const x = Math.round(i * step) + 6
    const width = Math.round(step) - 12
    return muster.html`
      <rect class="bar" x="${x}" y="${HEIGHT - 18 - height(mails)}" width="${width}" height="${height(mails)}" rx="2"/>
      <rect class="held" x="${x}" y="${HEIGHT - 18 - height(held)}" width="${width}" height="${height(held)}" rx="2"/>
      <text class="label" x="${x + width / 2}" y="${HEIGHT - 22 - height(mails)}" text-anchor="middle">${number.format(mails)}</text>
      <text class="label" x="${x + width / 2}" y="${HEIGHT - 4}" text-anchor="middle">${weekday(day)}</text>`
  })
  return muster.html`
    <svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${t('Mails per day')}, ${name}">
      ${bars}
      <line class="axis" x1="0" y1="${HEIGHT - 17}" x2="${WIDTH}" y2="${HEIGHT - 17}"/>
    </svg>`
}

function weekday(daysAgo) {
  const date = new Date(Date.now() - daysAgo * 86_400_000)
  return new Intl.DateTimeFormat(muster.language, { weekday: 'short' }).format(date)
}

/** A gateway that is busy holds more back, and keeps it for a shorter time. */
muster.on('usual', async () => {
  const appliances = await muster.appliances()
  for (const { uid } of appliances.slice(0, 20)) {
    const { counters } = await muster.parameters(uid)
    const busy = (counters.mails_day_1 ?? 0) > 10_000
    await muster.propose(uid, {
      quarantine: { enabled: true, score: busy ? 4 : 5, keep_days: busy ? 7 : 14 },
      largest_mail_mib: busy ? 25 : 50,
    })
  }
  await muster.say(t('The usual limits are proposed: look at them and take them over.'))
})

muster.onChange(show)
show()
