// The desktop app's adapter: commands and one long-lived channel of the Tauri shell. Nothing else in the
// UI imports from @tauri-apps.

import { Channel, convertFileSrc, invoke } from '@tauri-apps/api/core'
import type { Event } from '../bindings.ts'
import type { Backend } from './backend.ts'

export function connect(): Backend {
  return {
    startState: () => invoke('start_state'),
    async subscribe(listener) {
      const channel = new Channel<Event[]>()
      let listening = true
      channel.onmessage = (events) => {
        if (listening) listener(events)
      }
      await invoke('subscribe', { channel })
      return () => {
        listening = false
      }
    },
    localSetupDefaults: () => invoke('local_setup_defaults'),
    chooseThisComputer: (setup) => invoke('use_this_computer', { setup }),
    joinNoc: (invite) => invoke('join_noc', { invite }),
    discover: () => invoke('discover'),
    stopDiscovery: () => invoke('stop_discovery'),
    plan: (site, chosen) => invoke('plan', { site, chosen }),
    check: (site, rows) => invoke('check', { site, rows }),
    configure: (site, rows) => invoke('configure', { site, rows }),
    cancelJob: (id) => invoke('cancel_job', { id }),
    retryJob: (id, uids) => invoke('retry_job', { id, uids }),
    exportJob: (id) => invoke('export_job', { id }),
    acknowledge: (alert, note) => invoke('acknowledge', { alert, note }),
    beats: (uid, since) => invoke('beats', { uid, since }),
    importManifest: (csv) => invoke('import_manifest', { csv }),
    setKnobs: (knobs) => invoke('set_knobs', { knobs }),
    applets: (site, language) => invoke('applets', { site, language }),
    checkApplication: (site, applet, values) => invoke('check_application', { site, applet, values }),
    // The scheme has another form on each system; Tauri knows which.
    appletPage: (site, name, version) => `${convertFileSrc('', 'applet')}${site}/${name}/${version}/`,
    getPreference: (key) => invoke('get_preference', { key }),
    setPreference: (key, value) => invoke('set_preference', { key, value }),
    desk: {
      notifications: () => invoke('notification_settings'),
      setNotifications: (settings) => invoke('set_notification_settings', { settings }),
      doNotDisturb: (setting) => invoke('do_not_disturb', { setting }),
      silence: (alert, seconds) => invoke('silence', { alert, seconds }),
      checkNow: (uid) => invoke('check_now', { uid }),
      openWindow: (uid) => invoke('open_window', { uid }),
      closeSummary: () => invoke('close_summary'),
      appletPreviews: (language) => invoke('applet_previews', { language }),
      checkPreview: (applet, values) => invoke('check_preview', { applet, values }),
    },
  }
}
