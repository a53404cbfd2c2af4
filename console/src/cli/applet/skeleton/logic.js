// Runs beside the window, never in it. `muster` is all there is: no network, no storage, no other page.
muster.start(async () => {
  const appliances = await muster.appliances();
  muster.show("#who", `<p>${appliances.length} selected</p>`);
});

muster.on("usual", async () => {
  // Only a proposal: the administrator sees it in the form, and decides.
  const appliances = await muster.appliances();
  for (const appliance of appliances) {
    await muster.propose(appliance.uid, { port: 443, encrypt: true });
  }
  muster.say("The usual port was filled in.");
});
